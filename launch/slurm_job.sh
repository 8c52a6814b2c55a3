#!/usr/bin/env bash
# One turn of a job that slurm.sh submits; SLURM runs it on the first node, from a copy of its own.
#
#   slurm_job.sh REPOSITORY RUN_DIR [fiat train flags ...]
#
# jax finds the processes and their coordinator by SLURM's variables, but would give each process one GPU: the
# node's are named to it.
set -uo pipefail

repository=$1
shift
export JAX_LOCAL_DEVICE_IDS
JAX_LOCAL_DEVICE_IDS=$(seq --separator=, 0 "$((SLURM_GPUS_ON_NODE - 1))")

trap : TERM # of a preemption: the processes have it too, and save
srun --kill-on-bad-exit=0 --cpus-per-task="$SLURM_CPUS_PER_TASK" "$repository/launch/run.sh" --distributed "$@"
code=$?

# srun's code is the highest of its processes': above 128 one of them was killed, or lost its node.
if ((code == 75 || (code > 128 && ${SLURM_RESTART_COUNT:-0} < ${MAX_REQUEUES:-3}))); then
  echo "slurm_job.sh: exit code $code; back into the queue."
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
