"""What is accepted, refused and answered: Algorithm 2 for one request after another, many at a time.

A request is answered whole or not at all: if one of its rows fails, the caller gets that failure and no
answers. All methods but `run` belong to the event loop; `run` is the decoding thread's.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from fiat_jax.data.templates import Cut
from fiat_jax.decoding.queue import Queue
from fiat_jax.decoding.stream import Answer, Request, Take
from fiat_jax.errors import ConfigError, DataError, did_you_mean
from fiat_jax.reasoning import CallError
from fiat_jax.serving.limits import Limits
from fiat_jax.serving.metrics import Metrics
from fiat_jax.serving.workers import Workers
from fiat_jax.study.predictor import Predictor

Row = Mapping[str, Any]
CLIENT_GONE = 499
"""The status that is counted for a caller that has hung up; nobody reads it."""

_log = logging.getLogger(__name__)


class Adapter(NamedTuple):
    """What reads the rows of an adapter and writes their answers, and its number, as in `Request`."""

    predictor: Predictor
    number: int


class Refusal(Exception):
    """A request that is not answered.

    Args:
      status: of HTTP.
      sentence: why, and what to do.
      retry_after: seconds after which it may be tried again, where that may help.
    """

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.retry_after = status, retry_after


class Loaded(NamedTuple):
    """What answers: what decodes, and what reads and writes the rows of each adapter, the default first."""

    decode: Callable[[Take], Iterator[tuple[Any, Answer]]]
    adapters: Mapping[str, Adapter]


class Prepared(NamedTuple):
    """A row that can be decoded: its rationale, its tokens, and what was cut to fit."""

    rationale: str | None
    request: Request
    cut: Cut


class Service:
    """Answers requests with a model that a thread loads and runs.

    Args:
      limits: how much it takes on.

    Attributes:
      loaded: what answers, when it is there.
      failure: what the decoding thread died of.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.metrics, self.queue, self.workers = Metrics(), Queue(), Workers(limits.calls)
        self.failure: BaseException | None = None
        self.loaded: Loaded | None = None
        self._draining = False
        self._accepted = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopped = asyncio.Event()

    def run(self, load: Callable[[], Loaded], ended: Callable[[], object]) -> None:
        """The life of the decoding thread, from loading to `queue.close` or a failure.

        Args:
          load: makes what answers, and has it compiled.
          ended: called last.
        """
        started = time.monotonic()
        try:
            self.loaded = load()
            _log.info("ready after %.1f s", time.monotonic() - started)
            self.queue.run(self.loaded.decode)
        except BaseException as error:
            self.failure = error
        finally:
            ended()

    def health(self) -> str | None:
        """Why no request is accepted now, or None."""
        if self.failure is not None:
            return f"decoding has failed ({type(self.failure).__name__})"
        if self._draining:
            return "the server is stopping"
        return "the model is being loaded" if self.loaded is None else None

    def gauges(self) -> dict[str, tuple[str, float]]:
        """What is measured now, for `Metrics.text`."""
        return {
            "fiat_accepted_rows": ("Rows accepted and not answered.", self._accepted),
            "fiat_waiting_rows": ("Rows ready to be decoded.", self.queue.waiting),
            "fiat_decoding_rows": ("Rows in the batch that is decoded.", self.queue.decoding),
            "fiat_ready": ("Whether requests are accepted.", int(self.health() is None)),
        }

    async def answer(
        self,
        rows: Sequence[Row],
        adapter: str | None,
        seed: int | None,
        hung_up: Callable[[], Coroutine[Any, Any, None]],
    ) -> list[dict[str, Any]]:
        """Answers the rows of a request, in order.

        Args:
          rows: as they came.
          adapter: a name, or None for the default.
          seed: of what is drawn; None for one that follows from a row's id.
          hung_up: returns when the caller has.

        Raises:
          Refusal: there is no answer.
        """
        self._check_size(rows)
        chosen = _chosen(self._ready().adapters, adapter)
        with self._admitted(len(rows)):
            answers = await self._in_time(self._answer(chosen, rows, seed), hung_up())
        self.metrics.answered(len(answers), sum(one["tokens"] for one in answers))
        return answers

    async def drain(self) -> int:
        """Accepts no more, waits until what was accepted is answered or has been given up, and ends all.

        Returns:
          How many rows were given up.
        """
        self._draining = True
        if self.failure is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), self.limits.drain_s)
        left = self._accepted
        self._stopped.set()
        await self._idle.wait()
        self.queue.close()
        self.workers.close()
        for adapter in self.loaded.adapters.values() if self.loaded else ():
            adapter.predictor.close()
        return left

    def _check_size(self, rows: Sequence[Row]) -> None:
        if not rows:
            raise Refusal(422, "inputs: expected at least one row, found none.")
        if len(rows) > self.limits.rows:
            raise Refusal(
                413,
                f"inputs: expected at most {self.limits.rows} rows, found {len(rows)}; "
                "send them in several requests.",
            )

    def _ready(self) -> Loaded:
        reason, loaded = self.health(), self.loaded
        if reason is not None or loaded is None:
            raise Refusal(503, f"expected a server that is ready, but {reason}; try again.", retry_after=1)
        return loaded

    @contextmanager
    def _admitted(self, count: int) -> Iterator[None]:
        """Counts rows as accepted, if there is room for them."""
        if self._accepted + count > self.limits.waiting:
            raise Refusal(
                503,
                f"expected room for {count} rows, but {self._accepted} of at most {self.limits.waiting} "
                "are waiting; try again later.",
                retry_after=1,
            )
        self._accepted += count
        self._idle.clear()
        try:
            yield
        finally:
            self._accepted -= count
            if not self._accepted:
                self._idle.set()

    async def _in_time(self, work: Coroutine[Any, Any, Any], hung_up: Coroutine[Any, Any, None]) -> Any:
        """What the work comes to, unless something else ends it; then it is cancelled."""
        working = asyncio.ensure_future(work)
        gone, stopped = asyncio.ensure_future(hung_up), asyncio.ensure_future(self._stopped.wait())
        tasks = (working, gone, stopped)
        try:
            await asyncio.wait(tasks, timeout=self.limits.timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            if gone.done():
                raise Refusal(CLIENT_GONE, "the caller has hung up.")
            if stopped.done():
                raise self._given_up()
            raise Refusal(504, f"expected an answer within {self.limits.timeout_s:g} s, found none.")
        finally:
            for task in tasks:
                task.cancel()

    def _given_up(self) -> Refusal:
        if self.failure is not None:
            return Refusal(500, f"no answer: {self.health()}; the server's log says more.")
        return Refusal(503, "the server stopped before this was answered; try again.", retry_after=1)

    async def _answer(self, adapter: Adapter, rows: Sequence[Row], seed: int | None) -> list[dict[str, Any]]:
        predictor, number = adapter

        def check() -> list[Row]:
            return [predictor.check(row, f"inputs[{i}]") for i, row in enumerate(rows)]

        def prepare(row: Row, rationale_of: Callable[[Row], str | None]) -> Prepared:
            rationale = rationale_of(row)
            return Prepared(rationale, *predictor.request(row, rationale, seed, number))

        async def answered(
            rows: Sequence[Row], rationale_of: Callable[[Row], str | None]
        ) -> list[tuple[Prepared, Answer]]:
            making = [self.workers.submit(_refusing, prepare, row, rationale_of) for row in rows]
            prepared = await _all(making)
            try:
                answers = await _all([self.queue.put(one.request) for one in prepared])
            except Exception as error:
                raise Refusal(500, f"no answer: decoding has failed ({type(error).__name__}).") from error
            return list(zip(prepared, answers, strict=True))

        checked = await asyncio.to_thread(_refusing, check)
        every = dict(enumerate(await answered(checked, predictor.rationale)))
        unsure = [at for at, (_, answer) in every.items() if predictor.unsure(answer)]
        again = await answered([checked[at] for at in unsure], predictor.ask)
        every |= dict(zip(unsure, again, strict=True))
        return [
            predictor.answer(row, one.rationale, answer, one.cut)
            for row, (one, answer) in zip(checked, every.values(), strict=True)
        ]


async def _all(futures: Sequence[Future[Any]]) -> list[Any]:
    """The results of all; one that fails, or a caller that gives up, cancels those that have not begun."""
    try:
        return await asyncio.gather(*map(asyncio.wrap_future, futures))
    finally:
        for future in futures:
            future.cancel()


def _chosen(adapters: Mapping[str, Adapter], name: str | None) -> Adapter:
    if name is None:
        return next(iter(adapters.values()))
    if name not in adapters:
        known = did_you_mean(name, adapters)
        raise Refusal(422, f"adapter: expected the name of an adapter, found {name!r}; {known}")
    return adapters[name]


def _refusing(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives; what is wrong with a row or the reasoner becomes a refusal."""
    try:
        return call(*arguments)
    except DataError as error:
        raise Refusal(422, str(error)) from None
    except (CallError, ConfigError) as error:
        raise Refusal(502, f"the reasoner gave no rationale: {error}") from None
