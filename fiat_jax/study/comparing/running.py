"""A sweep run: job after job, or several side by side, from where it was left."""

import logging
import queue
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import jax

from fiat_jax.data.pipeline import Examples, load_examples
from fiat_jax.errors import ConfigError, FiatError, InterruptedRun
from fiat_jax.parallel.hosts import terminations
from fiat_jax.study.bases import Bases
from fiat_jax.study.comparing.answering import Answered, reasoned, result_of, tuned, untuned
from fiat_jax.study.comparing.progress import Progress
from fiat_jax.study.comparing.results import read_result, write_failure, write_result
from fiat_jax.study.comparing.setups import Setups
from fiat_jax.study.comparing.sweep import Cell
from fiat_jax.study.comparing.trials import Chosen, Start, Trials

Job = Sequence[Cell]
"""Cells that share a run; or one that has none."""

R = TypeVar("R")

_log = logging.getLogger(__name__)


def run_cells(setups: Setups, start: Start) -> list[str]:
    """Runs what is not done yet of a sweep.

    The first seed goes before the others, since it chooses their learning rates. A cell that fails is noted,
    and the others go on.

    Args:
      setups: of the cells, whose token caches are written.
      start: makes the folder of a run.

    Returns:
      The names of the cells that failed.

    Raises:
      InterruptedRun: the process was asked to stop; what is not done is done when the sweep is run again.
      ConfigError: the devices do not divide among the runs.
    """
    cells, first = setups.cells, setups.sweep.seeds[0]
    left = [cell for cell in cells if read_result(setups.folder, cell.name) is None]
    if not left:
        return []
    early = [cell for cell in left if not cell.paradigm.tuned or cell.seed == first]
    late = [cell for cell in left if cell not in early]
    rooms = _rooms(setups.sweep.at_once)
    test = load_examples(setups.task_of(cells[0]), "plain", "test")
    with terminations(), Progress(len(cells), len(cells) - len(left)) as progress:
        runner = _Runner(setups, Trials(setups, start, progress), test, progress, rooms)
        for stage in (early, late):
            _run(runner, jobs_of(stage), setups.sweep.at_once)
    return runner.failed


def _run(runner: "_Runner", jobs: Sequence[Job], at_once: int) -> None:
    """Runs jobs one after another, or several side by side in threads."""
    if at_once == 1:
        for job in jobs:
            runner.run(job)
        return
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for running in [pool.submit(runner.run, job) for job in jobs]:
                running.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            signal.raise_signal(signal.SIGTERM)  # the runs under way save, and stop at their next step
            raise


def _rooms(at_once: int) -> "queue.SimpleQueue[Bases]":
    """Where runs can go: shares of the devices, each with the bases that lie there."""
    rooms: queue.SimpleQueue[Bases] = queue.SimpleQueue()
    if at_once == 1:
        rooms.put(Bases())
        return rooms
    devices = jax.devices()
    if jax.process_count() > 1 or len(devices) % at_once:
        raise ConfigError(
            f"Sweep.at_once: expected a divisor of the {len(devices)} devices of one process, "
            f"found {at_once}."
        )
    share = len(devices) // at_once
    for number in range(at_once):
        rooms.put(Bases(devices[number * share : (number + 1) * share]))
    return rooms


def jobs_of(cells: Iterable[Cell]) -> list[Job]:
    """Cells by the run that they share."""
    jobs: dict[object, list[Cell]] = {}
    for cell in cells:
        jobs.setdefault(cell.run if cell.paradigm.tuned else cell.name, []).append(cell)
    return list(jobs.values())


class _Runner:
    """Runs jobs, each in a room of its own; threads may do so at the same time."""

    def __init__(
        self,
        setups: Setups,
        trials: Trials,
        test: Examples,
        progress: Progress,
        rooms: "queue.SimpleQueue[Bases]",
    ) -> None:
        self._setups, self._trials, self._test = setups, trials, test
        self._progress, self._rooms = progress, rooms
        self.failed: list[str] = []

    def run(self, job: Job) -> None:
        """Runs the cells of a job."""
        bases, chosen = self._rooms.get(), None
        try:
            if job[0].paradigm.tuned:
                chosen = self._kept(job, lambda: self._trials.choose(job[0], bases))
                if chosen is None:
                    return
            for cell in job:
                self._kept([cell], lambda cell=cell: self._answer(cell, chosen, bases))  # type: ignore[misc]
            if chosen is not None:
                self._trials.forget(chosen)
        finally:
            self._rooms.put(bases)

    def _kept(self, job: Job, part: Callable[[], R]) -> R | None:
        """What a part of a job gives; None where it fails, which is noted of the job's cells."""
        try:
            return part()
        except InterruptedRun:
            raise
        except Exception as error:  # whatever it is, the other jobs go on
            _log.debug("%s", job[0].name, exc_info=True)
            sentence = str(error) if isinstance(error, FiatError) else f"{type(error).__name__}: {error}"
        for cell in job:
            write_failure(self._setups.folder, cell.name, sentence)
            self.failed.append(cell.name)
            self._progress.failed(cell.name, sentence)
        return None

    def _answer(self, cell: Cell, chosen: Chosen | None, bases: Bases) -> None:
        """Answers the test examples as a cell does, and keeps what that gives."""
        began = time.monotonic()
        answered = self._answered(cell, chosen, bases)
        seconds = time.monotonic() - began
        result = result_of(
            self._setups.experiment.task,
            self._test,
            cell,
            answered,
            answer_seconds=round(seconds, 3),
            device="" if cell.paradigm.answers == "reasoner" else jax.devices()[0].device_kind,
            **({} if chosen is None else chosen.fields()),
        )
        write_result(self._setups.folder, cell.name, result)
        self._progress.done(
            cell.name, sum(result.scores) / len(result.scores), seconds + result.train_seconds
        )

    def _answered(self, cell: Cell, chosen: Chosen | None, bases: Bases) -> Answered:
        setups, paradigm = self._setups, cell.paradigm
        if paradigm.answers == "reasoner":
            return reasoned(setups.task_of(cell), self._test, setups.sweep.marker)
        experiment, rows = setups.experiment_of(cell), setups.tuning.eval_batch_size
        if chosen is None:
            return untuned(experiment, paradigm.shots, setups.sweep.sizes[0], cell.seed, rows, bases)
        return tuned(chosen.run_dir, experiment, paradigm, rows, bases)
