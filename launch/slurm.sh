#!/usr/bin/env bash
# GPU nodes under SLURM: one job of one process a node, which goes back into the queue when its time is over,
# when it was preempted and when it exits with 75.
#
#   launch/slurm.sh [--dry_run] RUN_DIR [fiat train flags ...]
#
# RUN_DIR, the files and this repository lie where every node sees them. Partition, account and the like are
# sbatch's own: SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_QOS.
NAME=${NAME:-fiat}
NODES=${NODES:-2}
GPUS=${GPUS:-8}                 # a node
CPUS=${CPUS:-16}                # a node
TIME=${TIME:-24:00:00}          # of one turn; a run takes as many turns as it needs
GRACE=${GRACE:-300}             # seconds before the end of a turn at which it saves
SBATCH_FLAGS=${SBATCH_FLAGS:-}  # more of `sbatch`
MAX_REQUEUES=${MAX_REQUEUES:-3} # after a node or a process was lost; after 75 there is no limit

# shellcheck source=launch/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

(($# > 0)) && [[ $1 != -* ]] || usage
read -ra more <<<"$SBATCH_FLAGS"
step sbatch --job-name="$NAME" --nodes="$NODES" --ntasks-per-node=1 --gpus-per-node="$GPUS" \
  --cpus-per-task="$CPUS" --time="$TIME" --signal="TERM@$GRACE" --requeue --open-mode=append \
  --output="$NAME-%j.log" --export=ALL,MAX_REQUEUES="$MAX_REQUEUES" "${more[@]}" \
  "$repository/launch/slurm_job.sh" "$repository" "$@"
