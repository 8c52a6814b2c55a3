"""Batches: many requests sent together, at a lower price, and their answers fetched when they have ended.

A batch is noted in the store before it is sent, and what comes of it is kept, and the batch forgotten, in one
transaction. So a run that is killed at any moment pays for nothing twice: the next one knows which requests
may be at the provider, and asks there before it sends them again.
"""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import sent as notes
from fiat_jax.reasoning.budget import Purse, size
from fiat_jax.reasoning.calls import (
    BatchClient,
    BatchState,
    CallError,
    Completion,
    GaveUp,
    NotThere,
    Request,
    Result,
    Sent,
    Unsure,
)
from fiat_jax.reasoning.pool import HOPELESS, first_signal
from fiat_jax.reasoning.progress import Progress
from fiat_jax.reasoning.store import Store
from fiat_jax.reasoning.tally import Tally

_MOST_REQUESTS = 50_000  # OpenAI takes so many, Anthropic twice as many
_MOST_BYTES = 100_000_000  # OpenAI takes 200 MB, Anthropic 256
_SLICE_S = 0.1
_SAID = 10


@dataclass(frozen=True)
class Batch:
    """How requests are sent together, to OpenAI or Anthropic.

    Attributes:
      size: the most requests of one batch, up to 50,000.
      poll_s: seconds from one look at the batches to the next.
      wait: whether to wait until all batches have ended; otherwise a run sends and fetches what it can, and
        leaves.
    """

    size: int = 10_000
    poll_s: float = 60.0
    wait: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.size <= _MOST_REQUESTS or self.poll_s <= 0:
            raise ConfigError(
                f"Batch: expected a size of 1 to {_MOST_REQUESTS} and poll_s above 0, found {self.size} and "
                f"{self.poll_s:g}."
            )


class Batches(Tally):
    """Sends requests in batches and keeps what comes of them.

    What the store has in batches already is fetched and not sent again, and counts against this run's budget,
    since what it costs is not known yet. A request that failed in a way that may pass is not sent again by
    this run.

    Args:
      batch: how.
      work: the requests by their key in the store; those in batches are among them.
      client: the large model.
      store: where batches and answers are kept.
      purse: what may be used for them.
      progress: what shows how far they are.
      forget_lost: whether a batch that the provider does not know is asked anew, instead of an error.
    """

    def __init__(
        self,
        batch: Batch,
        work: Mapping[str, Request],
        client: BatchClient,
        store: Store,
        purse: Purse,
        progress: Progress,
        forget_lost: bool = False,
    ) -> None:
        super().__init__()
        self._batch, self._work, self._client, self._store = batch, work, client, store
        self._purse, self._progress, self._forget_lost = purse, progress, forget_lost
        self._sent = {
            each.mark: each for each in notes.batches_of(store) if not work.keys().isdisjoint(each.keys)
        }
        self._states: dict[str, BatchState] = {}
        self._hopeless, self._silent = False, 0
        waiting = self.waiting
        self._left = deque(key for key in work if key not in waiting)
        for key in waiting:
            purse.adopt(self._most(key))

    @property
    def waiting(self) -> set[str]:
        """The keys of what is in batches."""
        return {key for each in self._sent.values() for key in each.keys}

    def run(self) -> None:
        """Sends and fetches until all is answered, or for one round if it shall not wait.

        Raises:
          ConfigError: the client says that no request can succeed.
          FiatError: the store cannot be written.
        """
        with first_signal(self._end), self._progress:
            try:
                while True:
                    self._fetch()
                    self._send()
                    self._show()
                    if not self._sent or not self._batch.wait or self._silent >= HOPELESS:
                        return
                    self._sleep(self._batch.poll_s)
            except _Stopped:
                self._progress.say("stopping; what is in batches stays there and is fetched later")

    def _end(self, number: int) -> None:
        self.signal = number

    def _sleep(self, seconds: float) -> None:
        """Sleeps in slices: what a signal's handler notes is seen within one."""
        until = time.monotonic() + seconds
        while self.signal is None and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_S))
        if self.signal is not None:
            raise _Stopped

    def _send(self) -> None:
        """Sends what is left, as far as the budget lets it."""
        while not self._hopeless and (requests := self._next()):
            self._sleep(0)
            sent = self._note(notes.note(self._store, requests))
            try:
                name = self._client.submit(sent, requests, self._names(), self._sleep)
            except (GaveUp, Unsure) as error:
                self._hopeless = True  # it may have arrived: the next look tells
                self._say(str(error))
                return
            except CallError as error:
                self._hopeless = True
                self._settle(sent, {}, [(key, str(error), False) for key in requests], {})
                return
            except ConfigError:
                self._store.settle(sent.mark, {}, [])  # it has not arrived
                raise
            self._note(notes.name(self._store, sent, name))
            self._progress.say(f"sent {len(requests)} requests as batch {name}")

    def _next(self) -> dict[str, Request]:
        """The requests of the next batch, with their places taken."""
        chosen: dict[str, Request] = {}
        bytes = 0
        while self._left and len(chosen) < self._batch.size and bytes < _MOST_BYTES:
            key = self._left[0]
            if not self._purse.open(self._most(key), wait=False):
                break
            chosen[key] = self._work[self._left.popleft()]
            bytes += size(self._client.payload(chosen[key]))
        return chosen

    def _fetch(self) -> None:
        """Looks at every batch, and keeps what came of those that have ended."""
        for sent in list(self._sent.values()):
            self._sleep(0)
            try:
                self._look(sent)
            except (GaveUp, Unsure) as error:
                self._silent += isinstance(error, GaveUp)
                self._say(str(error))
            else:
                self._silent = 0

    def _look(self, sent: Sent) -> None:
        name = sent.batch or self._found(sent)
        if name is None:
            self._give_back(sent)
            return
        try:
            state = self._client.state(name, self._sleep)
            results = self._client.results(name, self._sleep) if state.ended else []
        except NotThere:
            if not self._forget_lost:
                raise ConfigError(
                    f"expected batch {name} of {len(sent.keys)} requests at the provider, found none; set "
                    "the key and the address that it was sent with, or, if it is deleted, ask its requests "
                    "anew with retry_failed = True."
                ) from None
            self._give_back(sent)
            return
        self._states[sent.mark] = state
        if state.ended:
            self._hopeless |= state.refused
            self._take(sent, results, state.failure or "the batch has no result for it")

    def _found(self, sent: Sent) -> str | None:
        """What the provider knows a batch by of which it is not known whether it was sent."""
        found = self._client.find(sent, self._names(), self._sleep)
        if found is not None:
            self._note(notes.name(self._store, sent, found))
            self._progress.say(f"found batch {found}, which was sent before")
        return found

    def _take(self, sent: Sent, results: list[Result], missing: str) -> None:
        """Keeps what came of a batch; a request without a result has failed, since it is `missing`."""
        known = {result.key: result for result in results}
        each = [known.get(key) or Result(key, failure=missing) for key in sent.keys]
        answers = {one.key: one.completion for one in each if one.completion and not one.failure}
        hopeless = not answers and len(each) >= HOPELESS
        failures = [(one.key, one.failure, one.for_good and not hopeless) for one in each if one.failure]
        self._settle(sent, answers, failures, {one.key: one.completion for one in each if one.completion})

    def _settle(
        self,
        sent: Sent,
        answers: Mapping[str, Completion],
        failures: list[tuple[str, str, bool]],
        paid: Mapping[str, Completion],
    ) -> None:
        """Keeps answers and failures, forgets the batch, and counts what was `paid` for."""
        self._store.settle(sent.mark, answers, failures)
        del self._sent[sent.mark]
        for key, why, _ in failures[:_SAID]:
            self._progress.say(f"{self._work[key].id if key in self._work else key}: {why}")
        if len(failures) > _SAID:
            self._progress.say(f"{len(failures) - _SAID} more failed in this batch")
        self.failed += len(failures)
        self.failure = failures[-1][1] if failures else self.failure
        self.answered(answers)
        for completion in paid.values():
            self.spent(completion)
        for key in sent.keys:
            self._purse.close(self._most(key), paid.get(key))

    def _give_back(self, sent: Sent) -> None:
        """Forgets a batch that the provider does not have; its requests are to be asked."""
        self._store.settle(sent.mark, {}, [])
        del self._sent[sent.mark]
        for key in sent.keys:
            self._purse.take_back(self._most(key))
        self._left.extendleft(key for key in reversed(sent.keys) if key in self._work)

    def _most(self, key: str) -> float:
        """What is set aside for a request; nothing if it is not of this run."""
        return self._purse.most(self._work[key]) if key in self._work else 0.0

    def _note(self, sent: Sent) -> Sent:
        self._sent[sent.mark] = sent
        return sent

    def _names(self) -> set[str]:
        """What the provider knows our batches by."""
        return {each.batch for each in self._sent.values() if each.batch}

    def _show(self) -> None:
        states = [state for mark, state in self._states.items() if mark in self._sent]
        done, failed = sum(state.done for state in states), sum(state.failed for state in states)
        self._progress.show(len(self.done) + done, self.failed + failed, self._purse.cost)

    def _say(self, failure: str) -> None:
        self.failure = failure
        self._progress.say(failure)


class _Stopped(Exception):
    """A signal came while it waited."""
