"""Many calls at a time, each kept as soon as it is answered, and a stop that wastes none."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType

from fiat_jax.reasoning.budget import Purse, size
from fiat_jax.reasoning.calls import CallError, Client, Completion, GaveUp, Request
from fiat_jax.reasoning.progress import Progress
from fiat_jax.reasoning.store import Store
from fiat_jax.reasoning.tally import Tally
from fiat_jax.reasoning.throttle import Throttle, Turn

HOPELESS = 25
"""Failures in a row after which the server is taken to be out of order."""

_BYTES_A_TOKEN = 4  # a guess for the rates, corrected by each answer


class Pool(Tally):
    """Threads that ask requests and keep the answers.

    A failed request does not hold up the others, unless 25 in a row fail: then no more are asked. On
    Ctrl-C or SIGTERM no more are asked either, and the calls in flight are still kept; a second signal
    ends the process at once.

    A request that fails for good is set aside in the store, unless it is one of those 25: then the fault is
    taken to be the server's, and not theirs.

    Args:
      work: the requests by their key in the store.
      client: the large model.
      store: where answers are kept.
      purse: what may be used for them.
      throttle: how many are in flight at a time, and how soon one follows another.
      progress: what shows how far they are.
    """

    def __init__(
        self,
        work: Mapping[str, Request],
        client: Client,
        store: Store,
        purse: Purse,
        throttle: Throttle,
        progress: Progress,
    ) -> None:
        super().__init__()
        self._client, self._store = client, store
        self._purse, self._throttle, self._progress = purse, throttle, progress
        self._left = iter(work.items())
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._in_a_row: list[tuple[str, str, bool]] = []

    def run(self, concurrency: int) -> None:
        """Asks everything, so many calls at a time at the most.

        Raises:
          ConfigError: the client says that no request can succeed.
          FiatError: the store cannot be written.
        """
        with ThreadPoolExecutor(concurrency) as threads, first_signal(self._end), self._progress:
            workers = [threads.submit(self._serve) for _ in range(concurrency)]
            while wait(workers, timeout=0.1).not_done:
                if self.signal is not None and not self._stop.is_set():
                    self._stop.set()
                    self._progress.say("stopping after the calls in flight; a second signal stops at once")
        hopeless = len(self._in_a_row) >= HOPELESS
        self._store.fail((key, why, for_good and not hopeless) for key, why, for_good in self._in_a_row)
        for worker in workers:
            worker.result()

    def _end(self, number: int) -> None:
        self.signal = number

    def _serve(self) -> None:
        """One thread's work: a request at a time, until there is none or all shall stop."""
        try:
            while not self._stop.is_set():
                with self._lock:
                    key, request = next(self._left)
                most = self._purse.most(request)
                if not self._purse.open(most):
                    return
                self._call(key, request, most)
        except (StopIteration, _Stopped):
            return
        except BaseException:
            self._stop.set()
            raise

    def _call(self, key: str, request: Request, most: float) -> None:
        """One request, from the place that is taken for it until what became of it is noted."""
        completion: Completion | None = None
        try:
            self._sleep(0)  # it may have waited long for its place
            completion, failure, for_good = self._ask(key, request)
        finally:
            self._purse.close(most, completion)
        self._note(key, request, completion, failure, for_good)

    def _ask(self, key: str, request: Request) -> tuple[Completion | None, str, bool]:
        """The answer, kept in the store; or why there is none, and whether that is for good."""
        by_tokens = self._throttle.by_tokens
        tokens = size(self._client.payload(request)) / _BYTES_A_TOKEN if by_tokens else 0.0
        try:
            with Turn(self._throttle, tokens, self._sleep) as turn:
                completion = self._client.complete(request, turn.pause)
        except CallError as error:
            return None, str(error), not isinstance(error, GaveUp)
        if completion.prompt_tokens is not None and completion.completion_tokens is not None:
            self._throttle.correct(completion.prompt_tokens + completion.completion_tokens - tokens)
        if refusal := completion.refusal():
            return completion, refusal, True
        self._store.put(key, completion, round(turn.seconds, 3))
        return completion, "", False

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped

    def _note(
        self, key: str, request: Request, completion: Completion | None, failure: str, for_good: bool
    ) -> None:
        over: list[tuple[str, str, bool]] = []
        with self._lock:
            if completion is not None:
                self.spent(completion)
            if completion is not None and not failure:
                self.answered({key: completion})
                over, self._in_a_row = self._in_a_row, over
            else:
                self.failed += 1
                self.failure = failure
                self._in_a_row.append((key, failure, for_good))
                self._progress.say(f"{request.id}: {failure}")
            self._progress.show(len(self.done), self.failed, self._purse.cost)
            if len(self._in_a_row) >= HOPELESS:
                self._stop.set()
        if over:
            self._store.fail(over)


@contextmanager
def first_signal(note: Callable[[int], object]) -> Iterator[None]:
    """Gives the first Ctrl-C or SIGTERM to `note`; a second one ends the process at once.

    Only the main thread can: elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        note(number)

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, handle)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _Stopped(Exception):
    """A call was broken off, before it was asked or between two attempts."""
