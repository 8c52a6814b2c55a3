#!/usr/bin/env bash
# Slices of TPUs on GKE, through xpk: one workload of one pod a machine, which GKE starts again when a pod was
# preempted or exits with 75.
#
#   launch/gke.sh [--dry_run] start gs://BUCKET/RUN [fiat train flags ...]
#   launch/gke.sh [--dry_run] create | build | stop | delete
#
# create and delete are of the cluster, build of the image, start and stop of a workload.
NAME=${NAME:-fiat}
CLUSTER=${CLUSTER:-fiat}
PROJECT=${PROJECT:-}
ZONE=${ZONE:-us-west4-a}
TYPE=${TYPE:-v5litepod-16}
SLICES=${SLICES:-1}
SPOT=${SPOT-1}                      # empty: not preempted, and dearer
IMAGE=${IMAGE:-}                    # where the project keeps images, with a tag
FILES_DIR=${FILES_DIR:-}            # a folder of gin files and small data that goes into the image
MAX_RESTARTS=${MAX_RESTARTS:-50}    # of the workload, after 75, a signal or a preemption; 1, 2, 3 and 4 end it
GRACE=${GRACE:-120}                 # seconds that a pod has to save
CREATE_FLAGS=${CREATE_FLAGS:-}      # more of `xpk cluster create`
WORKLOAD_FLAGS=${WORKLOAD_FLAGS:-}  # more of `xpk workload create`

# shellcheck source=launch/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

(($# > 0)) || usage
verb=$1
shift
[[ -n $PROJECT ]] || refuse "expected PROJECT in front of the line, the Google Cloud project; found nothing."
place=(--project="$PROJECT" --zone="$ZONE")
capacity=--on-demand
[[ -z $SPOT ]] || capacity=--spot

image() {
  [[ -n $IMAGE ]] || refuse "expected IMAGE in front of the line, a place for the image; found nothing."
}

case $verb in
  create)
    read -ra more <<<"$CREATE_FLAGS"
    step xpk cluster create --cluster="$CLUSTER" "${place[@]}" --tpu-type="$TYPE" --num-slices="$SLICES" \
      "$capacity" "${more[@]}"
    ;;
  build)
    image
    step docker build --file "$repository/launch/Dockerfile" --build-arg EXTRA=tpu --tag fiat:tpu "$repository"
    if [[ -n $FILES_DIR ]]; then
      step docker build --file "$repository/launch/files.Dockerfile" --tag "$IMAGE" "$FILES_DIR"
    else
      step docker tag fiat:tpu "$IMAGE"
    fi
    step docker push "$IMAGE"
    ;;
  start)
    image
    (($# > 0)) && [[ $1 != -* ]] || usage
    shared_folder "$1"
    read -ra more <<<"$WORKLOAD_FLAGS"
    step xpk workload create --workload="$NAME" --cluster="$CLUSTER" "${place[@]}" --tpu-type="$TYPE" \
      --num-slices="$SLICES" --docker-image="$IMAGE" --max-restarts="$MAX_RESTARTS" --restart-on-exit-codes=75 \
      --termination-grace-period-seconds="$GRACE" "${more[@]}" \
      --command="exec $(quoted /fiat_jax/launch/run.sh --distributed "$@")"
    ;;
  stop) step xpk workload delete --workload="$NAME" --cluster="$CLUSTER" "${place[@]}" --force ;;
  delete) step xpk cluster delete --cluster="$CLUSTER" "${place[@]}" --force ;;
  *) usage ;;
esac
