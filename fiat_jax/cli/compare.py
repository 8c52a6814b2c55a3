"""`fiat compare`: which paradigm, with how much data."""

import logging
import threading
from pathlib import Path

from fiat_jax.cli.runfolder import start
from fiat_jax.config import parse
from fiat_jax.config.runs import saved
from fiat_jax.config.writing import bindings_of
from fiat_jax.paths import at
from fiat_jax.study.comparing.setups import Setups
from fiat_jax.study.comparing.study import compare_paradigms
from fiat_jax.study.comparing.sweep import Sweep
from fiat_jax.study.experiment import Experiment
from fiat_jax.study.tuning import Tuning

_PARSING = threading.Lock()
"""Gin has one configuration a process, and runs may start side by side."""


def compare(run_dir: str, experiment: Experiment, tuning: Tuning, sweep: Sweep) -> None:
    """Tunes and asks by every paradigm, at every size and with every seed, and reports which is best.

    Args:
      run_dir: the folder of the comparison: gets report.html, results/, and a run folder for each run below
        runs/. The same command goes on from what is done; a larger table adds to it.
      experiment: the task, the base, the adapter and the mesh; each paradigm has a variant of its own.
      tuning: how every run learns, but for learning rate and seed, which the sweep sets.
      sweep: the table of what is compared.
    """
    logging.getLogger("fiat_jax").setLevel(logging.WARNING)  # of every run only what goes wrong
    folder = at(run_dir)
    settings = Path(saved(run_dir)).read_text(encoding="utf-8")
    report = compare_paradigms(Setups(folder, experiment, tuning, sweep), _start, settings)
    print("\n".join([*report.verdict, f"{run_dir}: done; {report.page} has the report."]))


def _start(run_dir: Path, experiment: Experiment, tuning: Tuning) -> None:
    """Makes a run folder as `fiat train` does."""
    settings = {"run_dir": str(run_dir), "experiment": experiment, "tuning": tuning}
    with _PARSING:
        start(run_dir, parse("train", bindings=bindings_of("train", settings)))
