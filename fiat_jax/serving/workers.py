"""Threads for calls that block."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any


class Workers:
    """So many threads. They are daemons: a call that hangs does not hold up the end of the process, as it
    would in the pools of `concurrent.futures`.

    Args:
      count: calls at a time.
    """

    def __init__(self, count: int) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], partial[Any]] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Calls it on a thread, unless its future is cancelled before one is free."""
        future: Future[Any] = Future()
        self._calls.put((future, partial(call, *arguments)))
        return future

    def close(self) -> None:
        """Ends each thread after what it is at."""
        for _ in self._threads:
            self._calls.put(None)

    def _work(self) -> None:
        while (given := self._calls.get()) is not None:
            _answer(*given)
            del given  # while it waits for the next call, a thread must not keep the last one's answer


def _answer(future: Future[Any], call: partial[Any]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)
