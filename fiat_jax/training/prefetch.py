"""What comes next is made while what came is used."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

_AHEAD = 2


class Prefetch(Generic[T]):
    """The values of a function of 0, 1, 2, ..., made in order by one thread, some before they are taken.

    What the function raises is raised where its value is taken, and by no other. Left early, it waits for the
    value that is being made, and makes none of the others.

    Args:
      make: a pure function; it may run beside all else.
      first: where to begin.
      end: where to stop.
    """

    def __init__(self, make: Callable[[int], T], first: int, end: int) -> None:
        self._make, self._next, self._end = make, first, end
        self._thread = ThreadPoolExecutor(1, "prefetch")
        self._coming: deque[Future[T]] = deque()
        self.waited = 0.0

    def take(self) -> T:
        """The next value; `waited` grows by the seconds until it is there."""
        while len(self._coming) <= _AHEAD and self._next < self._end:
            self._coming.append(self._thread.submit(self._make, self._next))
            self._next += 1
        start = time.monotonic()
        value = self._coming.popleft().result()
        self.waited += time.monotonic() - start
        return value

    def __enter__(self) -> "Prefetch[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
