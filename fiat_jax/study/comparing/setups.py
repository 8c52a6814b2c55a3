"""A cell as an experiment and its tuning, over token caches that all cells share."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from fiat_jax.adapters import LoRA
from fiat_jax.data.cache import HEADER
from fiat_jax.data.pipeline import load_examples, write_cache
from fiat_jax.data.regimes import Regime
from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError, FiatError
from fiat_jax.paths import at
from fiat_jax.study.comparing.sweep import Cell, Sweep
from fiat_jax.study.experiment import Experiment
from fiat_jax.study.tuning import Tuning

TOKENS = "tokens"
"""The folder of the token caches in that of a sweep."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setups:
    """What every cell of a sweep is, in the folder of the sweep.

    Attributes:
      folder: of the sweep.
      experiment, tuning: what cells are made of.
      sweep: the table.
    """

    folder: Path
    experiment: Experiment
    tuning: Tuning
    sweep: Sweep

    def check(self) -> None:
        """Makes sure that every cell can be set up, and its rates be chosen.

        Raises:
          ConfigError: one cannot.
        """
        task, sweep = self.experiment.task, self.sweep
        for split in ("train", "test"):
            if split not in task.splits():
                raise ConfigError(f"compare: expected a {split!r} split of task {task.name}, found none.")
        if task.regime:
            raise ConfigError("Task.regime: expected none, since Sweep.sizes sets it, found one.")
        several = len(sweep.learning_rates["base"]) > 1
        cascade = next((one.name for one in sweep.all if one.asked is not None), None)
        if "validation" not in task.splits() and (several or cascade):
            what = "one learning rate each" if several else f"no {cascade}, whose threshold is chosen on it"
            raise ConfigError(
                f"compare: expected a 'validation' split, or {what}, found none; set Task.holdout."
            )
        for cell in self.cells:
            self.experiment_of(cell)
            paradigm = cell.paradigm
            if (paradigm.answers == "reasoner" or paradigm.variant in ("fiat", "distillation")) and not (
                task.rationales or sweep.prompts or (task.rationale_field and paradigm.tuned)
            ):
                raise ConfigError(f"Task.rationales: expected some, which {paradigm.name} needs, found none.")

    def check_sizes(self) -> None:
        """Makes sure that there are training examples for the largest size; the token caches are there.

        Raises:
          ConfigError: there are fewer.
        """
        whole = replace(self.task_of(self.cells[0]), regime=None)
        there, largest = len(load_examples(whole, "plain", "train")), self.sweep.sizes[-1]
        if largest > there:
            raise ConfigError(
                f"Sweep.sizes: expected at most the {there:,} training examples that task {whole.name} has "
                f"once others are held out, found {largest:,}."
            )

    @cached_property
    def cells(self) -> list[Cell]:
        """All of the table."""
        return self.sweep.cells()

    def task_of(self, cell: Cell) -> Task:
        """The task as a cell reads it, at its size."""
        experiment, sweep = self.experiment, self.sweep
        task, template = experiment.task, experiment.task.template
        marks = [cell.base, cell.prompt]
        if cell.base:
            task = replace(task, vocabulary=sweep.bases[cell.base].path)
        if not cell.paradigm.instruction_tuned and sweep.pretrained is not None:
            task, marks = replace(task, vocabulary=sweep.pretrained.path), [*marks, "pretrained"]
        if cell.prompt:
            task = replace(task, rationales=sweep.prompts[cell.prompt])
        if not cell.paradigm.instructed:
            bare = replace(template, instruction="", instructions={}, choice="first")
            task, marks = replace(task, template=bare), [*marks, "uninstructed"]
        name = "_".join(filter(None, (task.name, *marks)))
        if name != task.name or task.cache is None:
            task = replace(task, name=name, cache=str(self.folder / TOKENS / name))
        if cell.size is None:
            return task
        assert cell.seed is not None
        return replace(task, regime=Regime(cell.size, cell.seed, sweep.balanced))

    def experiment_of(self, cell: Cell) -> Experiment:
        """What a cell is about; where nothing is learned, with an adapter that does nothing at its start."""
        paradigm, experiment, sweep = cell.paradigm, self.experiment, self.sweep
        base = sweep.bases[cell.base] if cell.base else experiment.base
        if not paradigm.instruction_tuned and sweep.pretrained is not None:
            base = sweep.pretrained
        adapter = sweep.adapters[cell.adapter] if cell.adapter else experiment.adapter
        if not paradigm.tuned:
            adapter = LoRA()
        elif paradigm.learns == "base":
            adapter = None
        elif adapter is None:
            raise ConfigError(f"Experiment.adapter: expected one, which {paradigm.name} learns, found None.")
        task, mesh = self.task_of(cell), experiment.mesh
        return Experiment(task, base, paradigm.variant, adapter, mesh)

    def tuning_of(self, cell: Cell, rate: float) -> Tuning:
        """How a cell is tuned at a learning rate."""
        assert cell.seed is not None
        optimizer = replace(self.tuning.optimizer, learning_rate=rate)
        return replace(self.tuning, optimizer=optimizer, seed=cell.seed, rationale_mix=cell.paradigm.mix)

    def sharing(self, cell: Cell) -> list[Cell]:
        """The cells that share a cell's run, itself among them; those that it is tuned for come first."""
        sharing = [one for one in self.cells if one.paradigm.tuned and one.run == cell.run]
        return sorted(sharing, key=lambda one: one.paradigm.shown is not None)

    def run_dir(self, cell: Cell) -> Path:
        """Where a cell is tuned; those that share a run have the place of the first."""
        return self.folder / "runs" / self.sharing(cell)[0].name

    def trial_dir(self, cell: Cell, rate: float) -> Path:
        """Where a learning rate is tried for a cell."""
        return self.folder / "trials" / f"{self.sharing(cell)[0].name}-lr{rate:g}"

    def write_tokens(self) -> None:
        """Writes the token caches that there are not yet, with all that cells will read.

        Raises:
          ConfigError, DataError: as `write_cache`; or cells will read what cannot be made, such as rationales
            that are not there.
        """
        cells: dict[str, list[Cell]] = {self.task_of(cell).name: [] for cell in self.cells}
        for cell in self.cells:
            cells[self.task_of(cell).name].append(cell)
        for its in cells.values():
            task = replace(self.task_of(its[0]), regime=None)
            assert task.cache is not None
            if (at(task.cache) / HEADER).exists():
                continue
            _log.info("%s: token ids of task %s", task.cache, task.name)
            write_cache(task)
            try:
                self._check_readings(task, its)
            except FiatError:
                shutil.rmtree(task.cache)  # else it would be there when the data is mended
                raise

    def _check_readings(self, task: Task, cells: Sequence[Cell]) -> None:
        """Makes sure that what cells read of a task is in its cache."""
        tuned = {cell.paradigm.variant for cell in cells if cell.paradigm.tuned}
        asked = {cell.paradigm.variant for cell in cells if cell.paradigm.answers == "model"}
        for split in task.splits():
            for reading in sorted(tuned if split != "test" else asked):
                load_examples(task, reading, split)
            if split == "train" and "distillation" in tuned:
                load_examples(task, "explanation", split)
