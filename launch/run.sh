#!/usr/bin/env bash
# What each machine of a run executes, under every launcher of this folder: trains, then scores.
#
#   launch/run.sh [--dry_run] [--distributed] RUN_DIR [fiat train flags ...]
#   launch/run.sh runs/mine --gin_file mine.gin
#
# `fiat` exits with 75 when the same command is to go on, and gets it. Wrong settings, wrong data, a loss that
# is not finite and processes that do not come (2, 3, 4, 69) end the run at once; after any other failure the
# same command is given again, no more than MAX_FAILURES times in a row. SIGTERM and Ctrl-C reach `fiat` as
# SIGTERM: it saves, and this exits with 75 for whoever launched it. --distributed is for one of several
# processes.
MAX_FAILURES=${MAX_FAILURES:-3} # of a kind that may pass, in a row
RETRY_WAIT=${RETRY_WAIT:-10}    # seconds before the same command is given again

# shellcheck source=launch/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

distributed=()
if [[ ${1:-} == --distributed ]]; then
  distributed=(--distributed)
  shift
fi
(($# > 0)) && [[ $1 != -* ]] || usage
run_dir=$1
shift
PATH=$PATH:$repository/.venv/bin

# Gives a command until it is done.
finish() {
  local code failures=0
  while true; do
    ((told == 0)) || exit 75
    show "$@"
    [[ -z $dry_run ]] || return 0
    code=0
    supervised "$@" || code=$?
    case $code in
      0) return ;;
      2 | 3 | 4 | 69) exit "$code" ;;
      75) failures=0 ;;
      *) failures=$((failures + 1)) ;;
    esac
    ((told == 0)) || exit 75
    if ((failures > MAX_FAILURES)); then
      echo "run.sh: given up after $failures failures in a row, the last with exit code $code." >&2
      exit 1
    fi
    echo "run.sh: exit code $code; the same command again in $RETRY_WAIT s." >&2
    supervised sleep "$RETRY_WAIT" || true
  done
}

finish fiat train "${distributed[@]}" --run_dir "$run_dir" "$@"
finish fiat eval "${distributed[@]}" --run_dir "$run_dir"
