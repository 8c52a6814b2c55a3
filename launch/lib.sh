# shellcheck shell=bash
# What the scripts of this folder share: a dry run, words as a shell reads them, and a stop that saves.
# Sourced without arguments, so that `--dry_run` in front is taken from the script's own.

set -euo pipefail

# shellcheck disable=SC2034
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

dry_run=
if [[ ${1:-} == --dry_run ]]; then
  dry_run=--dry_run
  shift
fi

# Shows the comment on top of the script that was called, and exits as after a wrong setting.
usage() {
  awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0" >&2
  exit 2
}

# Says what is wrong in one sentence, and exits as after a wrong setting.
refuse() {
  echo "${0##*/}: $*" >&2
  exit 2
}

# The words as one line that a shell reads as the same words.
quoted() {
  local word line=
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word=${word@Q}
    line+=" $word"
  done
  printf '%s' "${line:1}"
}

# Shows a command as it would be typed.
show() {
  echo "+ $(quoted "$@")"
}

# Shows a command, and runs it unless this is a dry run.
step() {
  show "$@"
  [[ $dry_run ]] || "$@"
}

told=0 child=
hand_on() {
  told=$((told + 1))
  [[ -z $child ]] || kill -TERM "$child" 2>/dev/null || true
}

# Runs a command to its end. SIGTERM and Ctrl-C reach it as SIGTERM, so that it can save, and count in `told`.
supervised() {
  local code seen=$told
  trap hand_on TERM INT
  "$@" &
  child=$!
  ((told == seen)) || kill -TERM "$child"
  while true; do
    seen=$told code=0
    wait "$child" || code=$?
    ((told == seen)) && break
  done
  child=
  return "$code"
}

# A folder on one machine's disk is not what the machines of a run can share.
shared_folder() {
  [[ $1 == gs://* || $1 == /* ]] ||
    refuse "expected a run folder that every machine sees, gs://BUCKET/... or /a/shared/disk/..., found $1."
}
