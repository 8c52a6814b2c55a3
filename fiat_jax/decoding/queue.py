"""Requests from many threads to the one that decodes, and the answers back."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from fiat_jax.decoding.stream import Answer, Request, Take


class Queue:
    """First come, first decoded. What its caller has cancelled before is passed over."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Future[Answer], Request]] = deque()
        self._decoding: set[Future[Answer]] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    @property
    def waiting(self) -> int:
        """Rows that are not being decoded yet."""
        return len(self._waiting)

    @property
    def decoding(self) -> int:
        """Rows that are being decoded."""
        return len(self._decoding)

    def put(self, request: Request) -> Future[Answer]:
        """Adds a request; its answer comes in the future.

        Raises:
          BaseException: what the decoding thread died of.
        """
        future: Future[Answer] = Future()
        with self._changed:
            if self._error is not None:
                raise self._error
            self._waiting.append((future, request))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Ends `run` when all that waits is answered."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def run(self, decode: Callable[[Take], Iterator[tuple[Any, Answer]]]) -> None:
        """Has everything decoded, until `close`; this is the decoding thread's work.

        Args:
          decode: as `Decoder.run`.

        Raises:
          BaseException: decoding failed; all that waited for an answer has the same error.
        """
        try:
            for future, answer in decode(self._take):
                with self._changed:
                    self._decoding.remove(future)
                future.set_result(answer)
        except BaseException as error:
            self._fail(error)
            raise

    def _take(self, count: int, idle: bool) -> list[tuple[Any, Request]] | None:
        with self._changed:
            while not (taken := self._next(count)) and not self._closed and idle:
                self._changed.wait()
        return taken or (None if self._closed else [])

    def _next(self, count: int) -> list[tuple[Any, Request]]:
        """The oldest so many that are still wanted, now being decoded."""
        taken: list[tuple[Any, Request]] = []
        while self._waiting and len(taken) < count:
            future, request = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                taken.append((future, request))
        self._decoding.update(future for future, _ in taken)
        return taken

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = error
            waiting = [future for future, _ in self._waiting if future.set_running_or_notify_cancel()]
            failed = [*self._decoding, *waiting]
            self._waiting.clear()
            self._decoding.clear()
        for future in failed:
            future.set_exception(error)
