"""What goes to a large model and what comes back: the words that clients, prompts and the store share."""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable

from fiat_jax.errors import ConfigError, FiatError

Message = dict[str, str]
"""One turn of a chat: its 'role' (system, user or assistant) and its 'content'."""

GIVEN_LABEL = "given_label"
"""Marks a rationale that was written with the label in sight: in rows, and in the template of its prompt."""

_REFUSED = {"content_filter", "refusal", "safety", "prohibited_content", "blocklist", "recitation"}

Wait = Callable[[float], object]
"""Sleeps for so many seconds, or raises to break off what waits."""


class Pause(float):
    """Seconds between two attempts, as `Wait` is given them.

    Attributes:
      busy: whether the server had too many calls, rather than a fault.
    """

    busy: bool

    def __new__(cls, seconds: float, busy: bool = False) -> "Pause":
        pause = super().__new__(cls, seconds)
        pause.busy = busy
        return pause


class CallError(FiatError):
    """One call failed for good; other calls may still succeed."""


class GaveUp(CallError):
    """One call failed in ways that may pass: it may succeed another time."""


class NotThere(ConfigError):
    """The server does not know what it was asked for."""


class Unsure(FiatError):
    """Whether a batch has arrived cannot be known yet."""


@dataclass(frozen=True)
class Request:
    """What is asked about one example.

    Attributes:
      id: the example's id.
      messages: the whole chat, the example's own turn last.
      stop: texts before which the answer ends.
    """

    id: str
    messages: tuple[Message, ...] = ()
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completion:
    """What a large model answered.

    Attributes:
      text: the rationale.
      prompt_tokens, completion_tokens: as the server counted them; None where it did not say.
      finish_reason: 'stop', 'length' (cut off at the token limit), or as the server says.
      cached_tokens: how many of the prompt's the server had kept from an earlier call; None where it did not
        say.
      model: what the server calls the model that answered, such as a dated revision; None where it did not
        say.
      fingerprint: what the server says of its own set-up; None where it did not say.
    """

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    cached_tokens: int | None = None
    model: str | None = None
    fingerprint: str | None = None

    def refusal(self) -> str:
        """Why this is no rationale; empty if it is one."""
        if (self.finish_reason or "").lower() in _REFUSED:
            return f"the model refused it ({self.finish_reason})"
        return "" if self.text.strip() else "the answer is empty"


@dataclass(frozen=True)
class Answer:
    """A completion, and when it came.

    Attributes:
      completion: what the model said.
      time: ISO 8601, in UTC.
    """

    completion: Completion
    time: str


@dataclass(frozen=True)
class Outcome:
    """What became of one request that a pipeline was to ask.

    Attributes:
      key: of the request, in the store.
      ids: the examples that make it.
      answer: None where there is none, or where the store has it already.
      finish_reason: of the answer, also where the store has it already.
      failure: why there is no answer; empty if there is one.
      hopeless: whether no other request can have one either.
    """

    key: str
    ids: tuple[str, ...]
    answer: Answer | None = None
    finish_reason: str | None = None
    failure: str = ""
    hopeless: bool = False


class Client(Protocol):
    """Something that answers requests, from many threads at once."""

    @property
    def model(self) -> str:
        """The name of the model that answers."""
        ...

    def payload(self, request: Request) -> dict[str, Any]:
        """All that the answer depends on, as JSON: two equal payloads are one call."""
        ...

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        """Answers a request, trying again as long as that may help.

        Args:
          request: what is asked.
          wait: how to pause between attempts.

        Raises:
          CallError: this request has no answer.
          ConfigError: no request can have one, such as when the key is refused.
        """
        ...


@dataclass(frozen=True)
class Sent:
    """A batch that was sent, or was about to be, and is not fetched yet.

    Attributes:
      mark: what we know it by.
      time: when it was noted, before it was sent: ISO 8601, in UTC.
      keys: of its requests, in the store.
      batch: what the provider knows it by; None as long as that is not noted.
    """

    mark: str
    time: str
    keys: tuple[str, ...]
    batch: str | None = None


@dataclass(frozen=True)
class BatchState:
    """How far a batch is.

    Attributes:
      ended: whether no more will come of it.
      done, failed: how many of its requests are, as the provider counts them.
      failure: why requests without a result have none; empty if the provider does not say.
      refused: whether the provider has refused the batch as a whole.
    """

    ended: bool
    done: int = 0
    failed: int = 0
    failure: str = ""
    refused: bool = False


class Result(NamedTuple):
    """What became of one request of a batch.

    Attributes:
      key: of the request, in the store.
      completion: what the model said; None if nothing.
      failure: why that is no answer; empty if it is one.
      for_good: whether another attempt would fail too.
    """

    key: str
    completion: Completion | None = None
    failure: str = ""
    for_good: bool = False


@runtime_checkable
class BatchClient(Client, Protocol):
    """A client whose provider also answers many requests together, later and at a lower price.

    Each method tries again as long as that may help, pausing by `wait`, and raises GaveUp when it no longer
    does, or ConfigError where no request can succeed.
    """

    def submit(self, sent: Sent, requests: Mapping[str, Request], others: Collection[str], wait: Wait) -> str:
        """Sends a batch, once: an attempt whose outcome is not known is looked for before the next one.

        Args:
          sent: the batch as it is noted.
          requests: its requests, by key.
          others: what the provider knows other batches of ours by.
          wait: how to pause.

        Returns:
          What the provider knows the batch by.

        Raises:
          CallError: the batch is refused.
          Unsure: as `find`.
        """
        ...

    def find(self, sent: Sent, others: Collection[str], wait: Wait) -> str | None:
        """Looks for a batch that may have been sent; None if it was not.

        Raises:
          Unsure: it cannot be known yet.
        """
        ...

    def state(self, batch: str, wait: Wait) -> BatchState:
        """How far a batch is.

        Raises:
          NotThere: the provider does not know it.
        """
        ...

    def results(self, batch: str, wait: Wait) -> list[Result]:
        """What became of the requests of a batch that has ended, in any order."""
        ...


def now() -> str:
    """The time as the store writes it: ISO 8601, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def canonical(payload: Mapping[str, Any]) -> str:
    """The payload as the one JSON text that is sent and hashed."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"))


def digest(payload: Mapping[str, Any]) -> str:
    """The SHA-256 of a payload, in hexadecimal: the key of its answer in the store."""
    return hashlib.sha256(canonical(payload).encode()).hexdigest()
