"""Many calls at a time, each kept as soon as it is answered, and a stop that wastes none."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType

from fiat_jax.reasoning.calls import CallError, Client, Completion, Request
from fiat_jax.reasoning.progress import Progress
from fiat_jax.reasoning.store import Store

HOPELESS = 25
"""Failures in a row after which the server is taken to be out of order."""


class Pool:
    """Threads that ask requests and keep the answers.

    A failed request does not hold up the others, unless 25 in a row fail: then no more are asked. On
    Ctrl-C or SIGTERM no more are asked either, and the calls in flight are still kept; a second signal
    ends the process at once.

    Args:
      work: the requests by their key in the store.
      client: the large model.
      store: where answers are kept.

    Attributes:
      done: the answers, all of them in the store, by key.
      failed: how many requests got none after all attempts.
      failure: what the last of these died of.
      signal: the signal that ended the work early, if one did.
    """

    def __init__(self, work: Mapping[str, Request], client: Client, store: Store) -> None:
        self.done: dict[str, Completion] = {}
        self.failed = 0
        self.failure = ""
        self.signal: int | None = None
        self._client, self._store = client, store
        self._left = iter(work.items())
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._progress = Progress(len(work))
        self._failed_in_a_row = 0

    def run(self, concurrency: int) -> None:
        """Asks everything, so many calls at a time.

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
                self._note(key, request, self._ask(key, request))
        except (StopIteration, _Stopped):
            return
        except BaseException:
            self._stop.set()
            raise

    def _ask(self, key: str, request: Request) -> Completion | CallError:
        try:
            completion = self._client.complete(request, self._pause)
        except CallError as error:
            return error
        if not completion.text.strip():
            return CallError("the answer is empty")
        self._store.put(key, completion)
        return completion

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped

    def _note(self, key: str, request: Request, answer: Completion | CallError) -> None:
        with self._lock:
            if isinstance(answer, Completion):
                self.done[key] = answer
                self._failed_in_a_row = 0
            else:
                self.failed += 1
                self.failure = str(answer)
                self._failed_in_a_row += 1
                self._progress.say(f"{request.id}: {answer}")
            self._progress.show(len(self.done), self.failed)
        if self._failed_in_a_row >= HOPELESS:
            self._stop.set()


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
    """A pause between attempts was broken off."""
