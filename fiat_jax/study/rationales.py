"""Where the rationales of new rows come from: the row itself, a store or file, or the large model."""

import hashlib
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.parallel.hosts import is_first
from fiat_jax.reasoning import CallError, Client, Completion, Prompt, Replay, Request, Store, open_rationales
from fiat_jax.reasoning.calls import GIVEN_LABEL, digest
from fiat_jax.reasoning.gathering import template_of
from fiat_jax.reasoning.store import given_label
from fiat_jax.records import fill


@dataclass(frozen=True)
class Reasoner:
    """What gives new rows their rationales.

    Attributes:
      rationales: a store or JSONL file; None for the task's. With a client, the store of its answers.
      client: the large model, asked for what the store lacks; None to ask nobody.
      prompt: what it is asked.
      concurrency: calls at a time.
    """

    rationales: str | None = None
    client: Client | None = None
    prompt: Prompt | None = None
    concurrency: int = 8

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ConfigError(f"concurrency: expected 1 or more, found {self.concurrency}.")
        if self.client is not None and self.rationales is None:
            raise ConfigError("rationales: expected a store to keep the client's answers in, found none.")
        if self.client is not None and self.prompt is None and not isinstance(self.client, Replay):
            raise ConfigError("prompt: expected a prompt for the large model, found none; bind @Prompt().")

    def described(self) -> str:
        """All that the rationales depend on, as far as it is known before they are read."""
        if self.client is None:
            return self.rationales or "the task's"
        return f"{self.client.model}, request {digest(self._template())}"

    def _template(self) -> dict[str, Any]:
        """The client's payload with the prompt's template in the example's place."""
        assert self.client is not None
        return template_of(self.prompt, self.prompt.worked() if self.prompt else (), self.client)


class Rationales:
    """The rationales of new rows. Many threads may ask at once.

    In a job of several processes the first one alone has a client's store open.

    Args:
      reasoner: what gives them.
      task: whose rows; where the reasoner names no place, the task's own rationales are read.

    Attributes:
      stop: set to ask no more; calls in flight end, and are kept.
    """

    def __init__(self, reasoner: Reasoner, task: Task) -> None:
        self.stop = threading.Event()
        self._reasoner, self._place = reasoner, reasoner.rationales or task.rationales or ""
        self._lock = threading.Lock()
        self._files: dict[str, Mapping[str, str]] = {}
        self._marked: dict[str, set[str]] = {}
        self._asked: dict[str, Future[str]] = {}
        self._store: Store | None = None
        if (client := reasoner.client) is not None and is_first():
            prompt = reasoner.prompt
            self._exemplars = prompt.worked() if prompt else ()
            self._store = Store(self._place)
            self._turn = self._store.begin(reasoner._template(), client.model)

    def check(self, row: Mapping[str, Any], where: str) -> None:
        """Makes sure that a row has a rationale, or that somebody can be asked for one.

        Raises:
          DataError: it brings one that is no text or was written from the label, or has none and nobody can
            be asked.
        """
        own = row.get("rationale")
        if own is not None and not isinstance(own, str):
            raise DataError(f"{where}: expected text in field 'rationale', found {own!r}.")
        if own and row.get(GIVEN_LABEL) is True:
            raise _from_label(where, "its own")
        if self._reasoner.client is None and not _own(row):
            self._kept(row, where)

    def of(self, row: Mapping[str, Any]) -> str:
        """The rationale of a row, asked for if it must be; a request that is being asked is not asked twice.

        Raises:
          DataError: there is none, and nobody to ask, or it was written from the label.
          CallError: the large model gives none.
          ConfigError: the large model cannot be asked.
        """
        if own := _own(row):
            return own
        if self._reasoner.client is None:
            return self._kept(row, f"example {row['id']!r}")
        request = self._request(row)
        key = digest(self._reasoner.client.payload(request))
        with self._lock:
            other = self._asked.get(key)
            if other is None:
                mine = self._asked[key] = Future()
        if other is not None:
            other.result()
            return self._found_or_asked(request, key)
        self._answer(mine, request, key)
        return mine.result()

    def of_another(self, row: Mapping[str, Any], seed: int) -> str:
        """The rationale of another example of the same file, which follows from a row's id and a seed.

        Raises:
          DataError: there is no other.
        """
        path = fill(self._place, {"language": row["language"]})
        found = self._read(path)
        unfit = {row["id"], *self._marked[path]}
        others = [id for id in found if id not in unfit]
        if not others:
            raise DataError(f"{path}: expected rationales of other examples than {row['id']!r}, found none.")
        chosen = int(hashlib.sha256(f"{seed} {row['id']} other".encode()).hexdigest(), 16) % len(others)
        return found[others[chosen]].strip()

    def close(self) -> None:
        """Closes the store."""
        if self._store is not None:
            self._store.close()

    def _kept(self, row: Mapping[str, Any], where: str) -> str:
        path = fill(self._place, {"language": row["language"]})
        if not path:
            raise DataError(f"{where}: expected a field 'rationale', or rationales of this run, found none.")
        text = self._read(path).get(row["id"], "").strip()
        if not text:
            raise DataError(
                f"{where}: expected a rationale for {row['id']!r} in {path}, found none; write what is "
                "missing with `fiat annotate`, or name a client to ask."
            )
        if row["id"] in self._marked[path]:
            raise _from_label(where, f"that of {row['id']!r} in {path}")
        return text

    def _read(self, path: str) -> Mapping[str, str]:
        with self._lock:
            if path not in self._files:
                self._files[path], self._marked[path] = open_rationales(path), given_label(path)
        return self._files[path]

    def _request(self, row: Mapping[str, Any]) -> Request:
        prompt = self._reasoner.prompt
        if prompt is None:
            return Request(row["id"])
        (request,) = prompt.requests([row], self._exemplars, "predict")
        return request

    def _answer(self, pending: Future[str], request: Request, key: str) -> None:
        try:
            pending.set_result(self._found_or_asked(request, key))
        except BaseException as error:
            pending.set_exception(error)
        finally:
            with self._lock:
                del self._asked[key]

    def _found_or_asked(self, request: Request, key: str) -> str:
        assert self._store is not None and self._reasoner.client is not None
        found = self._store.find(self._turn, request.id, key)
        if found is None:
            completion = self._complete(request)
            self._store.keep(self._turn, request.id, key, completion)
            found = completion.text
        return found.strip()

    def _complete(self, request: Request) -> Completion:
        assert self._reasoner.client is not None
        try:
            self._pause(0)
            completion = self._reasoner.client.complete(request, self._pause)
        except CallError as error:
            raise CallError(f"example {request.id!r} has no rationale: {error}.") from None
        if refusal := completion.refusal():
            raise CallError(f"example {request.id!r} has no rationale: {refusal}.")
        return completion

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise CallError("stopped before it was answered")


def _own(row: Mapping[str, Any]) -> str:
    """The rationale that a row brings itself."""
    return str(row.get("rationale") or "").strip()


def _from_label(where: str, which: str) -> DataError:
    return DataError(
        f"{where}: expected a rationale written without the label, found {which} written from it; "
        "use another."
    )
