#!/usr/bin/env bash
# A slice of Cloud TPU VMs when there is one: asks for it, waits, installs and runs on all of its workers, and
# asks again when it was preempted.
#
#   launch/queued_resources.sh [--dry_run] start gs://BUCKET/RUN [fiat train flags ...]
#   launch/queued_resources.sh [--dry_run] create | install | run gs://BUCKET/RUN [flags ...] | stop | delete
#
# The project is gcloud's own: gcloud config set project PROJECT.
NAME=${NAME:-fiat}
ZONE=${ZONE:-us-west4-a}
TYPE=${TYPE:-v5litepod-16}
RUNTIME=${RUNTIME:-}           # empty: the one of TYPE
SPOT=${SPOT-1}                 # empty: not preempted, and dearer
FILES=${FILES:-}               # copied to every worker's home: gin files, small data
CREATE_FLAGS=${CREATE_FLAGS:-} # more of `gcloud compute tpus queued-resources create`
SETTLE=${SETTLE:-60}           # seconds before a slice that failed is looked at, and between looks at the queue
MAX_LOST=${MAX_LOST:-10}       # lost connections that are taken up again
MAX_CREATES=${MAX_CREATES:-3}  # requests that may fail in a row; one that waits has not failed

# shellcheck source=launch/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=launch/tpu.sh
. "$repository/launch/tpu.sh"

up=ACTIVE dead='^(FAILED|SUSPENDING|SUSPENDED|DELETING)$'
describe=(gcloud compute tpus queued-resources describe "$NAME" --zone="$ZONE" '--format=value(state.state)')

create() {
  local -a more
  read -ra more <<<"$CREATE_FLAGS"
  step gcloud compute tpus queued-resources create "$NAME" --node-id="$NAME" --zone="$ZONE" \
    --accelerator-type="$TYPE" --runtime-version="${RUNTIME:-$(runtime_of "$TYPE")}" \
    ${SPOT:+--spot} "${more[@]}"
}

# Gives the slice back too.
delete() {
  step gcloud compute tpus queued-resources delete "$NAME" --zone="$ZONE" --force --quiet
}

main "$@"
