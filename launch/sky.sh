#!/usr/bin/env bash
# A slice of TPUs or nodes of GPUs wherever SkyPilot finds them, as a managed job: started again, also
# elsewhere, after a preemption and after exit code 75.
#
#   launch/sky.sh [--dry_run] start gs://BUCKET/RUN [fiat train flags ...]
#   launch/sky.sh [--dry_run] logs | stop
#
# The folder that the line is given in goes along: gin files and small data.
NAME=${NAME:-fiat}
GPUS=${GPUS:-tpu-v5litepod-16} # or H100:8 and the like; `sky show-gpus` lists them
NODES=${NODES:-1}              # of GPUs; a slice of TPUs is one
INFRA=${INFRA:-}               # gcp/us-west4 and the like; empty: wherever it is cheapest
SPOT=${SPOT-1}                 # empty: not preempted, and dearer
SKY_FLAGS=${SKY_FLAGS:-}       # more of `sky jobs launch`

# shellcheck source=launch/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

extra=gpu
[[ $GPUS != tpu-* ]] || extra=tpu

(($# > 0)) || usage
verb=$1
shift
case $verb in
  start)
    (($# > 0)) && [[ $1 != -* ]] || usage
    shared_folder "$1"
    [[ $extra == gpu || $NODES == 1 ]] ||
      refuse "expected NODES=1 for a slice of TPUs, found $NODES; take a larger slice."
    spot=--no-use-spot
    [[ -z $SPOT ]] || spot=--use-spot
    read -ra more <<<"$SKY_FLAGS"
    step sky jobs launch --name "$NAME" --yes --detach-run --gpus "$GPUS" --num-nodes "$NODES" "$spot" \
      ${INFRA:+--infra "$INFRA"} "${more[@]}" --env EXTRA="$extra" --env REPOSITORY="$repository" \
      --env RUN="$(quoted "$@")" "$repository/launch/sky.yaml"
    ;;
  logs) step sky jobs logs --name "$NAME" ;;
  stop) step sky jobs cancel --name "$NAME" --yes ;;
  *) usage ;;
esac
