"""The folder of a run: the configuration as really used, and the machine it ran on."""

import itertools
import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from fiat_jax.config import Configuration
from fiat_jax.errors import ConfigError
from fiat_jax.parallel.hosts import agreed, check_same, is_first
from fiat_jax.paths import at, files_under, reason, size
from fiat_jax.records import write_whole

CONFIG, ENVIRONMENT = "config.gin", "environment.json"

_ITS_OWN = (CONFIG, ENVIRONMENT, "tensorboard")
_VARIABLES = ("JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR", "XLA_FLAGS", "LIBTPU_INIT_ARGS", "HF_HUB_OFFLINE")
_JAX_SETTINGS = (
    "jax_default_matmul_precision",
    "jax_enable_x64",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
)
_SECRETS = (
    (re.compile(r"(://)[^/@\s]+@"), r"\1***@"),
    (re.compile(r"((?:key|token|secret|password)[^=\s]*=)\S+", re.IGNORECASE), r"\1***"),
    (re.compile(r"\b(sk-|hf_)[\w-]{8,}"), r"\1***"),
)


def start(folder: str | Path, configuration: Configuration) -> None:
    """Makes the folder of a run and writes config.gin and environment.json, or finds the same run in it.

    In a job of several processes the first one does, and the others make sure that they see it.

    Args:
      folder: the run folder; the same configuration goes on in it, wherever it has been moved to.
      configuration: what the command is called with.

    Raises:
      ConfigError: the folder holds what another configuration has made, or cannot be written.
      DataError: not all processes see the same folder.
    """
    folder = at(folder)
    if is_first():
        _start(folder, configuration)
    agreed(0)  # the others wait here
    environment = folder / ENVIRONMENT
    written = environment.read_text(encoding="utf-8") if environment.exists() else ""
    check_same(f"run folder under {folder}", written)


def _start(folder: Path, configuration: Configuration) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_same(folder, configuration.text)
        configuration.save(folder / CONFIG)
        _add_environment(folder / ENVIRONMENT)
    except OSError as error:
        raise ConfigError(f"{folder}: expected a folder to write a run to, but {reason(error)}.") from None


def _check_same(folder: Path, text: str) -> None:
    path = folder / CONFIG
    if not path.exists() or not _has_results(folder):
        return
    before = list(_settings(path.read_text(encoding="utf-8")))
    for (number, old), (_, new) in itertools.zip_longest(
        before, _settings(text), fillvalue=(len(before), "")
    ):
        if old != new:
            raise ConfigError(
                f"{folder}: expected the configuration of the run that it holds, found {new!r} where "
                f"{path}:{number} has {old!r}; give another --run_dir, or the settings of {path}."
            )


def _settings(text: str) -> list[tuple[int, str]]:
    """The numbered lines that say something of a run; its folder and what it may cost do not.

    Nor does how large the table of a sweep is, whose cells are there or not.
    """
    table = r"Sweep\.(?:paradigms|at_largest|sizes|seeds|at_once)"
    beside_it = re.compile(
        rf"^(?:[\w/]+\.(?:run_dir|max_calls|concurrency)|{table}) = .*\n(?:    .*\n)*", re.MULTILINE
    )
    text = beside_it.sub(lambda match: "\n" * match[0].count("\n"), text)
    lines = enumerate(text.splitlines(), start=1)
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _has_results(folder: Path) -> bool:
    """Whether a run has left anything; one that failed before that is simply replaced."""
    others = [entry for entry in folder.iterdir() if entry.name not in _ITS_OWN]
    files = (path for entry in others for path in (files_under(entry) if entry.is_dir() else [entry]))
    return any(size(path) for path in files if path.is_file())


def _add_environment(path: Path) -> None:
    """Adds an entry to environment.json: one for each time the run was started."""
    starts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    write_whole(path, json.dumps([*starts, environment()], indent=2, ensure_ascii=False) + "\n")


def environment() -> dict[str, Any]:
    """The machine, the packages and the command line, without keys."""
    import jax

    import fiat_jax

    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [without_keys(word) for word in sys.argv],
        "fiat_jax": fiat_jax.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "devices": [str(device.device_kind) for device in jax.devices()],
        "processes": jax.process_count(),
        "jax": {name: getattr(jax.config, name) for name in _JAX_SETTINGS},
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "git": _git(),
        "packages": _packages(),
    }


@cache
def _packages() -> dict[str, str]:
    """The versions of all that is installed; a sweep asks for each of its runs."""
    found = sorted(metadata.distributions(), key=lambda one: one.name.lower())
    return {one.name: one.version for one in found}


def without_keys(text: str) -> str:
    """The text with passwords in addresses, and what looks like a key, made unreadable."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _git() -> dict[str, Any] | None:
    """The revision of the repository that the command was run in, or None outside of one."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {"revision": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None
