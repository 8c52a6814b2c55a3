#!/usr/bin/env bash
# A slice of Cloud TPU VMs, at once or not at all: creates it, installs and runs on all of its workers, and
# does so again when it was preempted.
#
#   launch/tpu_vm.sh [--dry_run] start gs://BUCKET/RUN [fiat train flags ...]
#   launch/tpu_vm.sh [--dry_run] create | install | run gs://BUCKET/RUN [flags ...] | stop | delete
#
# The project is gcloud's own: gcloud config set project PROJECT.
NAME=${NAME:-fiat}
ZONE=${ZONE:-us-west4-a}
TYPE=${TYPE:-v5litepod-16}
RUNTIME=${RUNTIME:-}            # empty: the one of TYPE
SPOT=${SPOT-1}                  # empty: not preempted, and dearer
FILES=${FILES:-}                # copied to every worker's home: gin files, small data
CREATE_FLAGS=${CREATE_FLAGS:-}  # more of `gcloud compute tpus tpu-vm create`
SETTLE=${SETTLE:-60}            # seconds before a slice that failed is looked at, and between tries
MAX_LOST=${MAX_LOST:-10}        # lost connections that are taken up again
MAX_CREATES=${MAX_CREATES:-120} # tries to have a slice back

# shellcheck source=launch/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=launch/tpu.sh
. "$repository/launch/tpu.sh"

up=READY dead='^(STOPPING|STOPPED|PREEMPTED|TERMINATED|DELETING)$'
describe=(gcloud compute tpus tpu-vm describe "$NAME" --zone="$ZONE" '--format=value(state)')

create() {
  local -a more
  read -ra more <<<"$CREATE_FLAGS"
  step gcloud compute tpus tpu-vm create "$NAME" --zone="$ZONE" --accelerator-type="$TYPE" \
    --version="${RUNTIME:-$(runtime_of "$TYPE")}" ${SPOT:+--spot} "${more[@]}"
}

delete() {
  step gcloud compute tpus tpu-vm delete "$NAME" --zone="$ZONE" --quiet
}

main "$@"
