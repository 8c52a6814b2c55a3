"""A small sweep to run in the world of the study's tests."""

import json
from pathlib import Path

from fiat_jax.cli import main

SWEEP = """
Sweep.sizes = (6, 12)
Sweep.seeds = (0, 1)
Sweep.paradigms = ('icl', 'zero_shot', 'fiat')
Sweep.at_largest = ('fiat_wrong', 'finetune')
Sweep.learning_rates = {'adapter': (1e-3, 1e-2), 'base': (1e-3, 1e-2)}
Sweep.marker = 'it is'
Tuning.steps = 4
Tuning.eval_every = 2
Tuning.save_every = 0
"""


def compare(run_dir="sweep", *words):
    """Runs the sweep of the working directory."""
    files = ["--gin_file", "world.gin", "--gin_file", "sweep.gin"]
    return main(["compare", *files, "--run_dir", str(run_dir), *words])


def held(run_dir="sweep"):
    """The results by cell, without what a clock says."""
    found = {}
    for path in sorted(Path(run_dir, "results").glob("*.json")):
        cell = json.loads(path.read_text())
        found[path.stem] = {key: value for key, value in cell.items() if not key.endswith("_seconds")}
    return found
