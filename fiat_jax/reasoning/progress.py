"""How far an annotation is: a bar on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Callable
from types import TracebackType

from tqdm import tqdm

from fiat_jax.reasoning.budget import Price

_SAY_EVERY_S = 10.0


class Progress:
    """Shows calls as they end. Not safe for threads: hold a lock.

    Args:
      total: the calls to make.
      price: what tokens cost; None to show no money.
      clock: seconds.
    """

    def __init__(
        self, total: int, price: Price | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._price, self._clock = total, price, clock
        self._started = self._said = clock()
        terminal = sys.stderr.isatty() and total > 0
        self._bar = tqdm(total=total, unit="call", dynamic_ncols=True) if terminal else None

    def show(self, done: int, failed: int, cost: float = 0.0) -> None:
        """Shows how many calls have succeeded and failed so far, and what they have cost."""
        said = [f"{failed} failed"] if failed else []
        said += [self._price.say(cost)] if self._price else []
        if self._bar is not None:
            self._bar.set_postfix_str(", ".join(said), refresh=False)
            self._bar.update(done + failed - self._bar.n)
            return
        now = self._clock()
        if now - self._said >= _SAY_EVERY_S:
            self._said = now
            rate = (done + failed) / (now - self._started)
            line = [f"{done} of {self._total} calls done", *said]
            if rate:
                left = (self._total - done - failed) / rate
                line += [f"{rate:.1f}/s", f"{_duration(left)} left"]
            self.say(", ".join(line))

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


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"
