"""How far an annotation is: a bar on a terminal, a line now and then in a log."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

_SAY_EVERY_S = 10.0


class Progress:
    """Shows calls as they end. Not safe for threads: hold a lock.

    Args:
      total: the calls to make.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._started = self._said = time.monotonic()
        terminal = sys.stderr.isatty() and total > 0
        self._bar = tqdm(total=total, unit="call", dynamic_ncols=True) if terminal else None

    def show(self, done: int, failed: int) -> None:
        """Shows how many calls have succeeded and failed so far."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"{failed} failed" if failed else "", refresh=False)
            self._bar.update(done + failed - self._bar.n)
            return
        now = time.monotonic()
        if now - self._said >= _SAY_EVERY_S:
            self._said = now
            rate = (done + failed) / (now - self._started)
            left = (self._total - done - failed) / rate / 60
            self.say(
                f"{done} of {self._total} calls done, {failed} failed, {rate:.1f}/s, {left:.0f} minutes left"
            )

    def say(self, line: str) -> None:
        """Shows a line, above the bar where there is one."""
        tqdm.write(line, file=sys.stderr)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
