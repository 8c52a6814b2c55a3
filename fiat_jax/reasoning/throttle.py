"""How many calls are in flight at a time, and how soon one may follow another."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from fiat_jax.errors import ConfigError

_LOOK_AGAIN_S = 0.05
_MINUTE_S = 60.0


@dataclass(frozen=True)
class Rates:
    """What a provider allows.

    Attributes:
      requests_per_minute: attempts that may begin in a minute, evenly spread; None for any number.
      tokens_per_minute: tokens read and written in a minute; None for any number.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __post_init__(self) -> None:
        for name, rate in vars(self).items():
            if rate is not None and rate <= 0:
                raise ConfigError(f"{name}: expected more than 0, found {rate:g}.")


class Throttle:
    """Adapts the number of calls in flight to what the server takes, and keeps to its rates.

    Additive increase, multiplicative decrease: when the server says that it has too many calls, half as many
    may be in flight; each round of calls that it does not refuse so allows one more. As all calls of a round
    tend to be refused together, only those count that began after the last decrease.

    Args:
      most: calls in flight at a time.
      rates: how soon one may follow another.
      clock: seconds.

    Attributes:
      limit: how many calls may be in flight now.
      by_tokens: whether tokens count.
    """

    def __init__(self, most: int, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.by_tokens = float(most), rates.tokens_per_minute is not None
        self._most, self._rates, self._clock = most, rates, clock
        self._in_flight = self._decreases = 0
        self._free_at = clock()
        self._lock = threading.Lock()

    def book(self, tokens: float) -> float:
        """Books the next moment at which an attempt may begin, and returns the seconds until then.

        Args:
          tokens: what it is expected to read and write.
        """
        requests, per_minute = self._rates.requests_per_minute, self._rates.tokens_per_minute
        with self._lock:
            now = self._clock()
            begin = max(now, self._free_at)
            self._free_at = begin + max(
                _MINUTE_S / requests if requests else 0.0,
                _MINUTE_S * tokens / per_minute if per_minute else 0.0,
            )
            return begin - now

    def correct(self, tokens: float) -> None:
        """Books what an answer had more, or less, than was expected of it."""
        if self._rates.tokens_per_minute:
            with self._lock:
                self._free_at += _MINUTE_S * tokens / self._rates.tokens_per_minute

    def enter(self) -> int | None:
        """Begins an attempt: what `leave` knows it by, or None if as many are in flight as may be."""
        with self._lock:
            if self._in_flight >= int(self.limit):
                return None
            self._in_flight += 1
            return self._decreases

    def leave(self, entered: int, busy: bool) -> None:
        """Ends an attempt.

        Args:
          entered: what `enter` has returned.
          busy: whether the server said that it has too many calls.
        """
        with self._lock:
            self._in_flight -= 1
            if not busy:
                self.limit = min(self._most, self.limit + 1 / self.limit)
            elif entered == self._decreases:
                self.limit = max(1.0, self.limit / 2)
                self._decreases += 1


class Turn:
    """One call's place among those in flight, which is left while it pauses between attempts.

    Args:
      throttle: who gives places.
      tokens: what the call is expected to read and write; 0 where tokens do not count.
      sleep: waits so many seconds, or raises to break the call off.

    Attributes:
      seconds: how long the last attempt has taken.
    """

    def __init__(self, throttle: Throttle, tokens: float, sleep: Callable[[float], None]) -> None:
        self.seconds = 0.0
        self._throttle, self._tokens, self._sleep = throttle, tokens, sleep
        self._entered: int | None = None
        self._began = 0.0

    def pause(self, seconds: float) -> None:
        """Waits before another attempt, as clients ask for it."""
        self._leave(getattr(seconds, "busy", False))
        self._sleep(seconds)
        self._enter()

    def __enter__(self) -> "Turn":
        self._enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(busy=False)

    def _enter(self) -> None:
        if delay := self._throttle.book(self._tokens):
            self._sleep(delay)
        while (entered := self._throttle.enter()) is None:
            self._sleep(_LOOK_AGAIN_S)
        self._entered, self._began = entered, time.monotonic()

    def _leave(self, busy: bool) -> None:
        if self._entered is not None:
            self.seconds = time.monotonic() - self._began
            self._throttle.leave(self._entered, busy)
            self._entered = None
