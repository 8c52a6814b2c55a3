"""What is said while a sweep runs: a line for each finished cell, and how much time is left."""

import sys
import threading
import time
from types import TracebackType

from tqdm import tqdm

_SOON = 5.0  # seconds after which the time left can be told


class Progress:
    """Counts cells; threads may do so at the same time.

    Args:
      cells: how many there are.
      done: how many are done already.
    """

    def __init__(self, cells: int, done: int) -> None:
        self._cells, self._first, self._finished = cells, done, done
        self._began, self._lock = time.monotonic(), threading.Lock()
        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=cells, initial=done, unit="cell", dynamic_ncols=True) if terminal else None

    def done(self, name: str, score: float, seconds: float) -> None:
        """A cell is finished, with a mean score of its examples."""
        self._advance(f"{name}  {score:.1f}  {seconds:.0f} s")

    def failed(self, name: str, sentence: str) -> None:
        """A cell has failed."""
        self._advance(f"{name}  failed: {sentence}")

    def say(self, line: str) -> None:
        """Shows a line."""
        tqdm.write(line, file=sys.stderr)

    def _advance(self, line: str) -> None:
        with self._lock:
            self._finished += 1
            seconds, left = time.monotonic() - self._began, self._cells - self._finished
            if seconds > _SOON and left:
                minutes = seconds / (self._finished - self._first) * left / 60
                line += f"  about {max(minutes, 1):.0f} min left"
            self.say(f"{self._finished}/{self._cells}  {line}")
            if self._bar is not None:
                self._bar.update(1)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
