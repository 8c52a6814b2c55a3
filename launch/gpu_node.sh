#!/usr/bin/env bash
# All GPUs of this machine, in a container: one process that sees them all, so without --distributed.
#
#   launch/gpu_node.sh [--dry_run] build
#   launch/gpu_node.sh [--dry_run] start RUN_DIR [fiat train flags ...]
#   launch/gpu_node.sh [--dry_run] stop
#
# RUN_DIR and files are named as seen from here, the folder that the container works in.
NAME=${NAME:-fiat}
IMAGE=${IMAGE:-fiat:gpu}
GPUS=${GPUS:-all}                  # as `docker run --gpus` takes it: all, 2, or "device=0,1" with its quotes
OWNER=${OWNER:-$(id -u):$(id -g)}  # of what the run writes
CACHE=${CACHE:-$HOME/.cache}       # models of the hub and compiled programs
GRACE=${GRACE:-120}                # seconds that `stop` gives it to save

# shellcheck source=launch/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

(($# > 0)) || usage
verb=$1
shift
case $verb in
  build)
    step docker build --file "$repository/launch/Dockerfile" --build-arg EXTRA=gpu --tag "$IMAGE" "$repository"
    ;;
  start)
    (($# > 0)) && [[ $1 != -* ]] || usage
    step docker run --rm --name "$NAME" --gpus "$GPUS" --user "$OWNER" --volume "$PWD:/work" \
      --volume "$CACHE:/cache" --env XDG_CACHE_HOME=/cache --env HOME=/tmp --env HF_TOKEN --env HF_HUB_OFFLINE \
      "$IMAGE" "$@"
    ;;
  stop) step docker stop -t "$GRACE" "$NAME" ;;
  *) usage ;;
esac
