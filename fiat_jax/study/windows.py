"""The rows of a file on their way to the decoder, some batches at a time.

While a window is decoded the next ones are made ready: their rationales are asked for, their inputs
tokenised. Within a window the longest inputs come first, so that little is padded. Which rows are in a window
follows from their place in the file alone.
"""

import hashlib
import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any, NamedTuple

import jax

from fiat_jax.data.templates import Cut
from fiat_jax.decoding.stream import Request
from fiat_jax.parallel.hosts import agreed_text, check_same, is_first
from fiat_jax.study.predictor import Predictor

_AHEAD = 2  # windows that are made ready beside those that are decoded
_BATCHES = 16  # of a window


class Asked(NamedTuple):
    """A row that is ready to be decoded.

    Attributes:
      row: as it was checked.
      rationale: '' where the variant is not fiat, None for none.
      request: for the decoder.
      cut: what of it was shortened.
    """

    row: dict[str, Any]
    rationale: str | None
    request: Request
    cut: Cut


class Windows:
    """Rows for a decoder, keyed by their position; its `take` is the decoder's.

    Args:
      predictor: what makes requests of rows.
      rows: checked rows, in order.
      start: the position of the first of them.

    Attributes:
      asked: the rows that the decoder has and that are not answered.
      written: the position up to which answers are written; rows far beyond it are held back.
      failure: why rows are left over, if that is so.
    """

    def __init__(self, predictor: Predictor, rows: Iterator[dict[str, Any]], start: int) -> None:
        self.size = size_of(predictor)
        self.asked: dict[int, Asked] = {}
        self.written = start
        self.failure: BaseException | None = None
        self._predictor, self._rows, self._next = predictor, rows, start
        self._ready: deque[tuple[int, Asked]] = deque()
        self._making: deque[Future[list[tuple[int, Asked]]]] = deque()
        self._callers = ThreadPoolExecutor(predictor.reasoner.concurrency)
        self._makers = ThreadPoolExecutor(_AHEAD) if jax.process_count() == 1 else None
        self._ended, self._stopped = False, threading.Event()

    def take(self, most: int, idle: bool) -> Sequence[tuple[int, Request]] | None:
        """Gives up to so many requests; see `decoding.stream.Take`."""
        given: list[tuple[int, Request]] = []
        if self._stopped.is_set():
            self._ready.clear()
        while len(given) < most and (self._ready or self._refill(idle and not given)):
            position, asked = self._ready.popleft()
            self.asked[position] = asked
            given.append((position, asked.request))
        return None if self._ended and not (given or self._making) else given

    def stop(self, why: BaseException) -> None:
        """Takes no more rows, but for those that the decoder has."""
        self.failure = self.failure or why
        self._stopped.set()
        if self._predictor.rationales is not None:
            self._predictor.rationales.stop.set()

    def close(self) -> None:
        """Waits for the calls in flight, which are kept, and makes no other."""
        for pool in (self._makers, self._callers):
            if pool is not None:
                pool.shutdown(cancel_futures=True)

    def _refill(self, wait_for_it: bool) -> bool:
        """Whether the next window is ready now; once it has failed, no more will come."""
        if self._stopped.is_set():
            self._ended = True
            self._making.clear()
            return False
        self._make_ahead()
        if not self._making:
            return False
        first = self._making[0]
        while wait_for_it and not first.done() and not self._stopped.is_set():
            wait([first], timeout=0.1)
        if not first.done():
            return self._stopped.is_set() and self._refill(False)
        try:
            self._ready.extend(self._making.popleft().result())
        except Exception as error:
            self.stop(error)
            return self._refill(False)
        return True

    def _make_ahead(self) -> None:
        ahead = _AHEAD if self._makers is not None else 1
        while len(self._making) < ahead and self._next - self.written <= (1 + _AHEAD) * self.size:
            rows = list(islice(self._rows, self.size))
            if not rows:
                self._ended = True
                return
            self._making.append(self._made(self._next, rows))
            self._next += len(rows)

    def _made(self, start: int, rows: list[dict[str, Any]]) -> Future[list[tuple[int, Asked]]]:
        """A window in the making. In a job it is made at once: its processes talk to each other meanwhile."""
        if self._makers is not None:
            return self._makers.submit(self._make, start, rows)
        made: Future[list[tuple[int, Asked]]] = Future()
        made.set_result(self._make(start, rows))
        return made

    def _make(self, start: int, rows: list[dict[str, Any]]) -> list[tuple[int, Asked]]:
        rationales = list(self._callers.map(self._predictor.rationale, rows)) if is_first() else []
        rationales = json.loads(agreed_text(json.dumps(rationales)))
        asked = []
        for row, rationale in zip(rows, rationales, strict=True):
            asked.append(Asked(row, rationale, *self._predictor.request(row, rationale)))
        check_same("rows and rationales", _fingerprint(asked))
        return sorted(enumerate(asked, start), key=lambda one: -len(one[1].request.inputs))


def size_of(predictor: Predictor) -> int:
    """Rows of a window."""
    return _BATCHES * predictor.batch_size


def _fingerprint(asked: Sequence[Asked]) -> str:
    digest = hashlib.sha256()
    for one in asked:
        digest.update(one.request.inputs.tobytes() + b"\n")
    return digest.hexdigest()
