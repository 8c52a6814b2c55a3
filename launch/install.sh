#!/usr/bin/env bash
# Installs this repository into its .venv, on a machine that may have another Python than it needs.
#
#   launch/install.sh [--dry_run] tpu|gpu
#
# uv brings Python 3.12 where there is none. Versions are those of constraints/. Given again it changes
# nothing.

# shellcheck source=launch/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# == 1 && $1 =~ ^(tpu|gpu)$ ]] || usage

step cd "$repository"
if [[ -n $dry_run ]] || ! command -v uv >/dev/null; then
  step python3 -m pip install --quiet --user uv
  PATH=$PATH:$HOME/.local/bin
fi
step uv venv --quiet --allow-existing --python 3.12 .venv
step uv pip install --quiet --python .venv --constraints constraints/py312.txt ".[$1,gcs]"
if [[ $1 == tpu ]]; then # jax asks for huge pages on v5e and later: without them it starts and stops slowly
  step sudo sh -c 'echo always > /sys/kernel/mm/transparent_hugepage/enabled' || true
fi
