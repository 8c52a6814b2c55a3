"""Two runs in two threads, each on a device of its own, and then the same one after the other."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax

from fiat_jax.config import parse
from fiat_jax.study.bases import Bases
from fiat_jax.study.evaluation import evaluate_run
from fiat_jax.study.tuning import tune

SHORT = ["Tuning.steps=3", "Tuning.eval_every=2", "Tuning.save_every=0", "Task.cache='token_ids'"]
compiled: list[str] = []


def run(folder: str, seed: int, bases: Bases) -> None:
    bindings = [*SHORT, f"Tuning.seed={seed}", f"train.run_dir={folder!r}"]
    arguments = parse("train", ["world.gin"], bindings, []).arguments
    tune(Path(folder), arguments["experiment"], arguments["tuning"], bases)
    evaluate_run(Path(folder), arguments["experiment"], "test", 4, bases=bases)


def main() -> None:
    os.chdir(sys.argv[1])
    devices = jax.devices()
    assert len(devices) == 8
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    each = [Bases([devices[at]]) for at in (3, 5)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, ("beside0", "beside1"), (0, 1), each))
    assert compiled
    compiled.clear()
    for seed, bases in enumerate(each):
        run(f"after{seed}", seed, bases)
    assert not compiled, f"{len(compiled)} programs were compiled again"
    used = {array.device for bases in each for array in jax.tree.leaves([*bases._frozen.values()])}
    assert used == {devices[3], devices[5]}, used


if __name__ == "__main__":
    main()
