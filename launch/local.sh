#!/usr/bin/env bash
# Tunes and scores runs on this machine, one after another. What is done is passed over and what was killed
# goes on, so the same line may be given again.
#
#   launch/local.sh [--dry_run] OUT_DIR 'RUN ...' 'SEED ...' [fiat train flags ...]
#   launch/local.sh runs/afriqa 'fiat finetune' '0 1' --gin_file recipes/afriqa.gin --gin.MODEL=FOLDER
#
# A RUN is a file of gin_configs/runs. Each gets a run folder OUT_DIR/RUN-SEED.

# shellcheck source=launch/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

(($# >= 3)) || usage
out=$1 runs=$2 seeds=$3
shift 3

for seed in $seeds; do
  for run in $runs; do
    folder=$out/$run-$seed
    if [[ -e $folder/predictions/test.jsonl ]]; then
      echo "$folder: done before"
      continue
    fi
    supervised "$repository/launch/run.sh" ${dry_run:+"$dry_run"} "$folder" --gin_file "runs/$run.gin" "$@" \
      --gin.Tuning.seed="$seed"
  done
done
