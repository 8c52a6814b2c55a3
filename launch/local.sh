#!/usr/bin/env bash
# Tunes and scores runs on this machine, one after another. What is done is passed over and what was killed
# goes on, so the same line may be given again.
#
#   launch/local.sh [--dry_run] OUT_DIR 'RUN ...' 'SEED ...' [fiat flags ...]
#   launch/local.sh runs/afriqa 'fiat finetune' '0 1' --gin_file recipes/afriqa.gin --gin.MODEL=FOLDER
#
# A RUN is a file of gin_configs/runs. Each gets a run folder OUT_DIR/RUN-SEED.
set -euo pipefail

dry_run=
if [[ ${1:-} == --dry_run ]]; then
  dry_run=1
  shift
fi
if (( $# < 3 )); then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
out=$1 runs=$2 seeds=$3
shift 3

step() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  [[ $dry_run ]] || "$@"
}

for seed in $seeds; do
  for run in $runs; do
    folder=$out/$run-$seed
    if [[ -e $folder/predictions/test.jsonl ]]; then
      echo "$folder: done before"
      continue
    fi
    step fiat train --run_dir "$folder" --gin_file "runs/$run.gin" "$@" --gin.Tuning.seed="$seed"
    step fiat eval --run_dir "$folder"
  done
done
