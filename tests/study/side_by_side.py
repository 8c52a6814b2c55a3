"""Two runs in two threads, each on a device of its own, and then the same one after the other."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from fiat_jax.config import parse
from fiat_jax.study.bases import Bases
from fiat_jax.study.evaluation import evaluate_run
from fiat_jax.study.tuning import tune

SHORT = ["Tuning.steps=3", "Tuning.eval_every=2", "Tuning.save_every=0", "Task.cache='token_ids'"]
compiled: list[str] = []


def parsed(folder: str, seed: int) -> dict[str, Any]:
    """The arguments of a run; gin knows one configuration at a time, and no threads."""
    bindings = [*SHORT, f"Tuning.seed={seed}", f"train.run_dir={folder!r}"]
    return parse("train", ["world.gin"], bindings, []).arguments


def run(folder: str, arguments: dict[str, Any], bases: Bases) -> None:
    tune(Path(folder), arguments["experiment"], arguments["tuning"], bases)
    evaluate_run(Path(folder), arguments["experiment"], "test", 4, bases=bases)


def main() -> None:
    os.chdir(sys.argv[1])
    devices = jax.devices()
    assert len(devices) == 8
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    each, settings = [Bases([devices[at]]) for at in (3, 5)], [parsed("run", seed) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, ("beside0", "beside1"), settings, each))
    first = len(compiled)
    compiled.clear()
    for seed, bases in enumerate(each):
        run(f"after{seed}", settings[seed], bases)
    # Threads that ask for a function for the first time at one moment may each have made their own.
    assert 10 * len(compiled) < first, f"{len(compiled)} of {first} programs were compiled again"
    used = {array.device for bases in each for array in jax.tree.leaves([*bases._frozen.values()])}
    assert used == {devices[3], devices[5]}, used


if __name__ == "__main__":
    main()
