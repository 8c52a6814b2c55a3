"""The calls of a search: each paid for once, many at a time, and never more than allowed."""

import logging
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import NamedTuple

from fiat_jax.errors import BudgetReached, ConfigError, InterruptedRun
from fiat_jax.reasoning.calls import CallError, Client, Request, digest
from fiat_jax.reasoning.pool import first_signal
from fiat_jax.reasoning.store import Store

_log = logging.getLogger(__name__)


class Reply(NamedTuple):
    """What a large model answered, and whether that ends at its token limit."""

    text: str
    cut: bool


class Ledger:
    """Asks requests that the store does not hold, and keeps the answers as they come.

    Args:
      store: where answers are kept; it holds this search's alone.
      client: the large model that candidates are tried on.
      concurrency: calls at a time.
      max_calls: how many answers the store may come to hold, of earlier starts too; None for any number.

    Attributes:
      calls: how many answers the store holds.
    """

    def __init__(
        self, store: Store, client: Client, concurrency: int = 8, max_calls: int | None = None
    ) -> None:
        if concurrency < 1 or (max_calls is not None and max_calls < 1):
            raise ConfigError(
                f"expected concurrency and max_calls above 0, found {concurrency} and {max_calls}."
            )
        self._store, self._client = store, client
        self._concurrency, self._max_calls = concurrency, max_calls
        self._turn = store.begin({"search": client.model}, client.model)
        answered = dict(store.answered())
        self.calls = len(answered)
        self._cut = {key for key, reason in answered.items() if reason == "length"}
        self._lock = threading.Lock()
        self._signal: int | None = None
        self._stop = threading.Event()

    def ask(self, requests: Sequence[Request], client: Client | None = None) -> list[Reply]:
        """The answers to requests, in order.

        Args:
          requests: equal ones are asked once.
          client: who is asked; by default the one that candidates are tried on.

        Raises:
          BudgetReached: an answer is missing, and no more calls are allowed.
          CallError: one has no answer; what was in flight with it is kept.
          ConfigError: none can have one.
          InterruptedRun, KeyboardInterrupt: SIGTERM or Ctrl-C came; what was in flight is kept.
        """
        self.check()
        asked = client or self._client
        keys = [digest(asked.payload(request)) for request in requests]
        work = dict(zip(keys, requests, strict=True))
        with ThreadPoolExecutor(self._concurrency) as threads:
            futures = {key: threads.submit(self._answer, asked, key, one) for key, one in work.items()}
            for future in wait(futures.values(), return_when=FIRST_EXCEPTION).not_done:
                future.cancel()
        self.check()
        self._raise_first(futures)
        return [futures[key].result() for key in keys]

    def check(self) -> None:
        """Makes sure that nobody has asked the search to stop.

        Raises:
          InterruptedRun, KeyboardInterrupt: somebody has.
        """
        again = f"{self.calls} answers are kept; the same command goes on from here"
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt(f"stopped by Ctrl-C: {again}.")
        if self._signal is not None:
            raise InterruptedRun(f"stopped by a signal: {again}.")

    def stoppable(self) -> AbstractContextManager[None]:
        """While it is open, a first Ctrl-C or SIGTERM lets the calls in flight end; a second one does not."""
        return first_signal(self._note)

    def _note(self, number: int) -> None:
        self._signal = number
        self._stop.set()
        _log.warning("stopping after the calls in flight; a second signal stops at once")

    def _raise_first(self, futures: Mapping[str, Future[Reply]]) -> None:
        """Raises what went wrong; that the calls are used up, only if nothing else did."""
        errors = [one.exception() for one in futures.values() if one.done() and not one.cancelled()]
        found = sorted((error for error in errors if error), key=lambda one: isinstance(one, BudgetReached))
        if found:
            raise found[0]

    def _answer(self, client: Client, key: str, request: Request) -> Reply:
        found = self._store.find(self._turn, request.id, key)
        if found is not None:
            return Reply(found, key in self._cut)
        self._reserve()
        try:
            completion = client.complete(request, self._pause)
        except BaseException as error:
            with self._lock:
                self.calls -= 1
            if isinstance(error, CallError):
                raise CallError(f"{request.id!r} has no answer: {error}; the same command goes on.") from None
            raise
        self._store.keep(self._turn, request.id, key, completion)
        return Reply(completion.text, completion.finish_reason == "length")

    def _reserve(self) -> None:
        """Takes one of the calls that are allowed."""
        self._pause(0)
        with self._lock:
            if self._max_calls is not None and self.calls >= self._max_calls:
                raise BudgetReached(
                    f"all of the {self._max_calls} calls that max_calls allows are used, and the search is "
                    "not at its end; nothing is lost: raise max_calls, and the same command goes on."
                )
            self.calls += 1

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise CallError("stopped before it was answered")
