"""The runs of a cell: one for each learning rate that is tried, of which validation chooses one."""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax

from fiat_jax.errors import DataError, NonFiniteError
from fiat_jax.models import T5
from fiat_jax.records import write_whole
from fiat_jax.study.bases import Bases
from fiat_jax.study.comparing.progress import Progress
from fiat_jax.study.comparing.results import Result, read_result
from fiat_jax.study.comparing.setups import Setups
from fiat_jax.study.comparing.sweep import Cell
from fiat_jax.study.evaluation import best_step
from fiat_jax.study.experiment import Experiment, abstract_variables
from fiat_jax.study.tuning import Tuning, tune

Start = Callable[[Path, Experiment, Tuning], None]
"""Makes the folder of a run, so that it is as any other."""

CHOICE = "choice.json"
"""Where the run folder of a cell keeps why it has its learning rate."""


@dataclass(frozen=True)
class Chosen:
    """The run of a cell, finished.

    Attributes:
      run_dir: its folder.
      rate: its learning rate.
      tried: validation scores by the rates that were tried; what diverged has none.
      validation: the score of its best checkpoint; None without validation.
      learned: how many weights it learned.
    """

    run_dir: Path
    rate: float
    tried: Mapping[str, float]
    validation: float | None
    learned: int

    def fields(self) -> dict[str, Any]:
        """What a result says of it."""
        lines = (self.run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        steps = [row for row in map(json.loads, lines) if row["split"] == "train"]
        return {
            "validation": self.validation,
            "learning_rate": self.rate,
            "step": best_step(self.run_dir),
            "steps": steps[-1]["step"],
            "tried": self.tried,
            "learned": self.learned,
            "train_tokens": round(sum(row["tokens_per_second"] * row["seconds"] for row in steps)),
            "train_seconds": round(sum(row["seconds"] for row in steps), 3),
        }


@dataclass(frozen=True)
class Choice:
    """A learning rate, and the validation scores of all that were tried by rate."""

    rate: float
    tried: Mapping[str, float]


class Trials:
    """Tunes cells.

    Args:
      setups: of the cells.
      start: makes the folder of a run.
      progress: what is told of rates that diverge.
    """

    def __init__(self, setups: Setups, start: Start, progress: Progress) -> None:
        self._setups, self._start, self._progress = setups, start, progress

    def choose(self, cell: Cell, bases: Bases) -> Chosen:
        """Tunes a cell, at the rate that is chosen for it already or by trying all.

        Raises:
          DataError: the seed that chooses the rate has failed.
          NonFiniteError: every rate diverged.
        """
        experiment, run_dir = self._setups.experiment_of(cell), self._setups.run_dir(cell)
        validation: float | None
        choice = self._choice(cell, run_dir)
        if choice is None:
            choice = self._tried(cell, run_dir, experiment, bases)
            validation = choice.tried[f"{choice.rate:g}"]
            self._start(run_dir, experiment, self._setups.tuning_of(cell, choice.rate))  # it has been moved
        else:
            validation = self._tune(run_dir, cell, choice.rate, experiment, bases)
            _keep(run_dir, choice)
        return Chosen(run_dir, choice.rate, choice.tried, validation, _learned(experiment))

    def forget(self, chosen: Chosen) -> None:
        """Removes the checkpoints of a run whose answers are there, where none are kept."""
        if not self._setups.sweep.keep_checkpoints:
            shutil.rmtree(chosen.run_dir / "checkpoints")

    def _choice(self, cell: Cell, run_dir: Path) -> Choice | None:
        """What is chosen already: as the run says, or another cell's result; None where all are to be tried.

        Raises:
          DataError: the first seed was to choose it, and has failed.
        """
        if (path := run_dir / CHOICE).exists():
            return Choice(**json.loads(path.read_text(encoding="utf-8")))
        rates, first = self._setups.sweep.rates(cell.paradigm), self._setups.sweep.seeds[0]
        if len(rates) == 1:
            return Choice(rates[0], {})
        if cell.seed == first:
            return None
        result = self._result(replace(cell, seed=first))
        if result is None or result.learning_rate is None:
            raise DataError(
                f"{cell.name}: expected the learning rate that seed {first} chooses, which has failed; run "
                "the sweep again once that is mended."
            )
        return Choice(result.learning_rate, result.tried)

    def _result(self, cell: Cell) -> Result | None:
        """The result of some cell with the same run."""
        for other in self._setups.sharing(cell):
            if (result := read_result(self._setups.folder, other.name)) is not None:
                return result
        return None

    def _tried(self, cell: Cell, run_dir: Path, experiment: Experiment, bases: Bases) -> Choice:
        """Tunes at every rate, makes the best run that of the cell, and drops the others' checkpoints."""
        found: dict[float, float] = {}
        rates = self._setups.sweep.rates(cell.paradigm)
        trials = {rate: self._setups.trial_dir(cell, rate) for rate in rates}
        for rate, folder in trials.items():
            try:
                score = self._tune(folder, cell, rate, experiment, bases)
                found[rate] = -math.inf if score is None else score
            except NonFiniteError as error:
                if rate == rates[-1] and not found:
                    raise
                self._progress.say(f"{cell.name}, learning rate {rate:g}: {error}")
        best = max(found, key=lambda rate: found[rate])
        run_dir.parent.mkdir(exist_ok=True)
        choice = Choice(best, {f"{rate:g}": score for rate, score in found.items()})
        _keep(trials[best], choice)
        trials.pop(best).rename(run_dir)
        for folder in trials.values():
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return choice

    def _tune(
        self, run_dir: Path, cell: Cell, rate: float, experiment: Experiment, bases: Bases
    ) -> float | None:
        """One run to its end, and the validation score of its best checkpoint."""
        tuning = self._setups.tuning_of(cell, rate)
        self._start(run_dir, experiment, tuning)
        metrics = tune(run_dir, experiment, tuning, bases=bases, quiet=True)
        return metrics[experiment.task.headline] if metrics else None


def _keep(run_dir: Path, choice: Choice) -> None:
    """Writes down why a run has its learning rate."""
    write_whole(run_dir / CHOICE, json.dumps(asdict(choice)) + "\n")


def _learned(experiment: Experiment) -> int:
    """How many weights an experiment learns."""
    variables = abstract_variables(T5(experiment.base.config(), experiment.adapter))
    kind = "params" if experiment.adapter is None else "adapter"
    return sum(leaf.size for leaf in jax.tree.leaves(variables[kind]))
