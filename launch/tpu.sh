# shellcheck shell=bash
# What is done on a slice of TPUs however it was had. tpu_vm.sh and queued_resources.sh set the variables and
# say how it is had: `create`, `delete`, `describe` (the command that says its state), `up` (the state in
# which it can be used) and `dead` (those from which it does not come back).
# shellcheck disable=SC2153,SC2154

# The software that a kind of TPU runs, as Cloud TPU's page on runtimes has it.
runtime_of() {
  case $1 in
    v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    v6e-*) echo v2-alpha-tpuv6e ;;
    *) echo tpu-ubuntu2204-base ;;
  esac
}

on_all_workers() {
  step gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --worker=all --command="$1"
}

# Copies what is committed, and FILES, to the home of every worker, and installs it there.
install() {
  local archive=${TMPDIR:-/tmp}/fiat_jax.tar.gz
  local -a files
  read -ra files <<<"$FILES"
  step git -C "$repository" archive --format=tar.gz --prefix=fiat_jax/ --output="$archive" HEAD &&
    step gcloud compute tpus tpu-vm scp "$archive" "${files[@]}" "$NAME:" \
      --zone="$ZONE" --worker=all --recurse &&
    on_all_workers 'tar --extract --gzip --file fiat_jax.tar.gz && fiat_jax/launch/install.sh tpu'
}

# Runs on all workers. A lost connection does not stop them: they go on, and the lock lets the same line,
# given again, wait for them. Each keeps what it says in ~/fiat.log.
run() {
  local line
  line=$(quoted flock fiat.lock fiat_jax/launch/run.sh --distributed "$@")
  on_all_workers "set -o pipefail; $line 2>&1 | tee --append --output-error=warn-nopipe fiat.log"
}

# Lets a run save and stop; the slice stays, and costs.
stop() {
  on_all_workers "pkill --signal TERM --full '^bash fiat_jax/launch/run.sh'"
}

# One word, or nothing where there is no slice or no answer.
state() {
  "${describe[@]}" 2>/dev/null || true
}

# Asks for the slice where there is none, waits until it is up, and installs; a slice that is up stays as it
# is.
provide() {
  local now=
  if [[ -z $dry_run ]]; then
    now=$(state)
    [[ $now != "$up" ]] || return 0
    [[ ! $now =~ $dead ]] || { delete && now=; } || return
  fi
  [[ -n $now ]] || create || return
  show "${describe[@]}"
  while [[ -z $dry_run ]]; do
    now=$(state)
    [[ $now != "$up" ]] || break
    [[ -n $now && ! $now =~ $dead ]] || return
    sleep "$SETTLE"
  done
  install
}

# Runs until it is done, on a new slice when the old one was preempted.
start() {
  local code lost=0 tries=0
  provide || exit
  while true; do
    code=0
    run "$@" || code=$?
    ((code != 0)) || break
    sleep "$SETTLE" # a preempted slice is not named so at once
    if [[ $(state) != "$up" ]]; then
      echo "${0##*/}: $NAME is not up; waiting for it, or for another one." >&2
      until provide; do
        if ((++tries >= MAX_CREATES)); then
          echo "${0##*/}: no slice after $tries tries; the last error is above." >&2
          exit 1
        fi
        sleep "$SETTLE"
      done
      tries=0
    elif ((code == 255 && lost < MAX_LOST)); then
      lost=$((lost + 1)) # of the connection, not of the run
    elif ((code != 75)); then
      echo "${0##*/}: the run failed with exit code $code on a slice that is up; $NAME still costs." >&2
      exit "$code"
    fi
  done
  [[ -n $dry_run ]] || echo "${0##*/}: done; $NAME costs until: launch/${0##*/} delete"
}

main() {
  (($# > 0)) || usage
  local verb=$1
  shift
  case $verb in
    start | run)
      (($# > 0)) && [[ $1 != -* ]] || usage
      shared_folder "$1"
      "$verb" "$@"
      ;;
    create | install | stop | delete)
      (($# == 0)) || usage
      "$verb"
      ;;
    *) usage ;;
  esac
}
