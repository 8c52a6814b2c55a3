"""A file of new rows answered, in order, each line written as soon as it can be."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from fiat_jax.data.templates import Tally
from fiat_jax.data.unlabelled import check_inputs, walk_inputs
from fiat_jax.errors import InterruptedRun
from fiat_jax.parallel.hosts import agreed, is_first
from fiat_jax.reasoning import CallError
from fiat_jax.reasoning.pool import first_signal
from fiat_jax.study.answer_file import AnswerFile
from fiat_jax.study.predictor import Predictor
from fiat_jax.study.windows import Windows, size_of


@dataclass(frozen=True)
class Answered:
    """What became of a file.

    Attributes:
      rows: how many it has.
      before: how many of them were answered by an earlier start.
      cut: what of the others was shortened.
      seconds: what they took.
    """

    rows: int
    before: int
    cut: Tally
    seconds: float

    def __str__(self) -> str:
        now = self.rows - self.before
        before = f", {self.before} of them from before" if self.before else ""
        rate = f"; {now / self.seconds:.1f} rows/s" if now else ""
        return f"{self.rows} predictions{before}{rate}" + (f"; {self.cut}" if self.cut.examples else "")


def predict_file(predictor: Predictor, source: Path, target: Path) -> Answered:
    """Answers the rows of a JSON-lines file that are not answered yet, and adds them to another, in order.

    The whole input is checked before the first row is answered. A run that was killed or stopped goes on when
    it is called again, and leaves the same file as one that never was.

    Args:
      predictor: what answers.
      source: the rows.
      target: the answers, a line each as `Predictor.answer` makes it.

    Raises:
      ConfigError: the target holds something else.
      DataError: a row is wrong, or has no rationale.
      FiatError: the large model gives a row no rationale; the rows before it are answered.
      InterruptedRun, KeyboardInterrupt: SIGTERM or Ctrl-C came.
    """
    task = predictor.task
    total = check_inputs(source, task, predictor.check_rationale)
    settings = predictor.settings()
    with ExitStack() as stack:
        output, before, cut = None, 0, Tally()
        if is_first():
            output = stack.enter_context(AnswerFile(target, settings))
            before = output.count_of(walk_inputs(source, task), source, (*predictor.ours, "rationale"))
        before, started = agreed(before), time.monotonic()
        if before < total:
            # From the start of a window: what stands together in a batch is what stood there before.
            start = before - before % size_of(predictor)
            rows = (row for _, row in islice(walk_inputs(source, task), start, None))
            bar = stack.enter_context(_bar(total, before))
            answered = _in_order if predictor.threshold is None else _by_windows
            for position, row in answered(predictor, rows, start):
                if output is not None and position >= before:
                    output.add(row)
                    bar.update()
                    cut.add(row.get("cut", {}))
    return Answered(total, before, cut, time.monotonic() - started)


def _in_order(
    predictor: Predictor, rows: Iterator[dict[str, Any]], start: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row's position and answer, in order, as soon as all before it are answered too."""
    windows, held = Windows(predictor, rows, start), {}
    with _stopping(windows):
        for position, written in predictor.run(windows.take):
            asked = windows.asked.pop(position)
            held[position] = predictor.answer(asked.row, asked.rationale, written, asked.cut)
            while windows.written in held:
                yield windows.written, held.pop(windows.written)
                windows.written += 1
    if windows.failure is not None:
        raise windows.failure


def _by_windows(
    predictor: Predictor, rows: Iterator[dict[str, Any]], start: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The same where the large model is asked after a first answer: some batches at a time, answered whole.

    So it follows from a row's place in the file what stands beside it, and not from when a call comes back.
    """
    stopped: list[BaseException] = []

    def stop(why: BaseException) -> None:
        stopped.append(why)
        if predictor.rationales is not None:
            predictor.rationales.stop.set()

    with _signals(stop):
        while not stopped and (window := list(islice(rows, size_of(predictor)))):
            try:
                answers = predictor.answers(window)
            except CallError:
                if stopped:
                    break
                raise
            yield from enumerate(answers, start)
            start += len(window)
    if stopped:
        raise stopped[0]


@contextmanager
def _stopping(windows: Windows) -> Iterator[None]:
    """Within it, the first Ctrl-C or SIGTERM lets calls and rows in flight end; not so in a job."""
    try:
        with _signals(windows.stop):
            yield
    finally:
        windows.close()


@contextmanager
def _signals(stop: Callable[[BaseException], None]) -> Iterator[None]:
    """Within it, the first Ctrl-C or SIGTERM stops with what is to be raised then; not so in a job."""

    def stopped(number: int) -> None:
        again = "what is answered is written, and the same command goes on from here."
        if number == signal.SIGINT:
            stop(KeyboardInterrupt(f"stopped by Ctrl-C; {again}"))
        else:
            stop(InterruptedRun(f"stopped by a signal; {again}"))

    with ExitStack() as stack:
        if jax.process_count() == 1:
            stack.enter_context(first_signal(stopped))
        yield


def _bar(total: int, before: int) -> Any:
    """A bar on a terminal, and nothing in a log."""
    hidden = not (is_first() and sys.stderr.isatty())
    return tqdm(total=total, initial=before, unit="row", dynamic_ncols=True, disable=hidden)
