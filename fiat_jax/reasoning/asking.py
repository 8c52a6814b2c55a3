"""The calls of one worker process: so many at a time, and each answer kept before it is handed on."""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.answers import Answers
from fiat_jax.reasoning.calls import Answer, CallError, Client, Request
from fiat_jax.reasoning.pool import HOPELESS

STOP = threading.Event()
"""Set to let the calls in flight of this process finish, and to ask no more."""

_SAY_EVERY_S = 10.0

_log = logging.getLogger(__name__)


class Reply(NamedTuple):
    """What became of one request.

    Attributes:
      answer: None if it failed.
      called: whether the client was asked and answered, rather than the folder.
      failure: why there is no answer.
      hopeless: whether no other request can have one either.
    """

    answer: Answer | None = None
    called: bool = False
    failure: str = ""
    hopeless: bool = False


class Asker:
    """Threads that ask requests and keep the answers.

    A failed request does not hold up the others, unless 25 in a row fail or the client says that no request
    can succeed: then this process asks no more.

    Args:
      client: the large model.
      answers: where answers are kept.
      concurrency: calls at a time.
    """

    def __init__(self, client: Client, answers: Answers, concurrency: int) -> None:
        self._client, self._answers = client, answers
        self._threads = ThreadPoolExecutor(concurrency)
        self._lock = threading.Lock()
        self._closed: Reply | None = None
        self._failed_in_a_row = 0
        self._done = self._failed = 0
        self._started = self._said = time.monotonic()

    def submit(self, key: str, request: Request) -> Future[Reply]:
        """Asks a request, unless its answer is kept already."""
        return self._threads.submit(self._reply, key, request)

    def _reply(self, key: str, request: Request) -> Reply:
        kept = self._answers.get(key)
        if kept is not None:
            return Reply(kept)
        if STOP.is_set():
            return Reply(failure="stopped before it was asked")
        reply = self._closed or self._ask(key, request)
        self._note(request, reply)
        return reply

    def _ask(self, key: str, request: Request) -> Reply:
        try:
            completion = self._client.complete(request, _pause)
        except CallError as error:
            return Reply(failure=str(error))
        except ConfigError as error:
            return Reply(failure=str(error), hopeless=True)
        if refusal := completion.refusal():
            return Reply(failure=refusal)
        return Reply(self._answers.put(key, completion), called=True)

    def _note(self, request: Request, reply: Reply) -> None:
        with self._lock:
            self._done += reply.called
            self._failed += not reply.called
            self._failed_in_a_row = 0 if reply.called else self._failed_in_a_row + 1
            if self._closed is None and not reply.called:
                _log.warning("%s: %s", request.id, reply.failure)
                if reply.hopeless:
                    self._closed = reply
                elif self._failed_in_a_row >= HOPELESS:
                    self._closed = Reply(
                        failure=f"not asked after {HOPELESS} failures in a row, the last: {reply.failure}"
                    )
            seconds = time.monotonic() - self._started
            if seconds + self._started - self._said >= _SAY_EVERY_S:
                self._said = time.monotonic()
                _log.info("%d calls done, %d failed, %.1f/s", self._done, self._failed, self._done / seconds)


def _pause(seconds: float) -> None:
    if STOP.wait(seconds):
        raise CallError("stopped while it was tried again")
