"""Anthropic's Claude, over its own protocol: https://docs.anthropic.com/en/api/messages."""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import quote

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.calls import (
    BatchState,
    CallError,
    Completion,
    Request,
    Result,
    Sent,
    Unsure,
    Wait,
    canonical,
)
from fiat_jax.reasoning.clients.http import CLOCKS_S, Http, Service, check, count, present, rows, said, total
from fiat_jax.reasoning.clients.text import clean

_SERVICE = Service(
    "https://api.anthropic.com/v1",
    kind="messages",
    key="ANTHROPIC_API_KEY",
    header="x-api-key",
    before="",
    headers={"anthropic-version": "2023-06-01"},
)
_BATCHES = "/messages/batches"
_STATUSES = {"invalid_request_error": 400, "request_too_large": 413}  # of what cannot pass
_REASONS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"}


@dataclass(frozen=True)
class Anthropic:
    """A Claude model, over the Messages API. The key is read from ANTHROPIC_API_KEY at each call.

    What is tried again is said at `OpenAI`; the status 529, overloaded, is among it.

    Attributes:
      model: its name on the server.
      base_url: the address up to and with /v1; by default Anthropic's own.
      temperature: 0 is nearly greedy; None leaves it to the server.
      max_tokens: the longest rationale.
      cache: whether the server shall keep instruction and exemplars, which all requests share, and read them
        from there at a lower price; prompts shorter than its least length are not kept.
      extra: further fields of the request body.
      timeout_s: how long the server may stay silent.
      max_retries: attempts after the first.
    """

    model: str
    base_url: str | None = None
    temperature: float | None = 0.0
    max_tokens: int = 512
    cache: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 120.0
    max_retries: int = 8

    def __post_init__(self) -> None:
        ours = ("max_tokens", "messages", "model", "stream", "system")
        check("Anthropic", self.extra, ours, self.timeout_s, self.max_retries)
        if self.max_tokens < 1:
            raise ConfigError(f"Anthropic.max_tokens: expected 1 or more, found {self.max_tokens}.")

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of the HTTP request, but for what it says of the cache, which changes no answer."""
        return self._body(request, cache=False)

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        """Asks the server; see `Client.complete`."""
        body = canonical(self._body(request, self.cache))
        return self._http.complete("/messages", body, self.model, read_message, wait)

    def submit(self, sent: Sent, requests: Mapping[str, Request], others: Collection[str], wait: Wait) -> str:
        """Posts the requests together; see `BatchClient.submit`."""
        asked = [
            {"custom_id": key, "params": self._body(request, self.cache)} for key, request in requests.items()
        ]
        body = canonical({"requests": asked})
        return self._http.make_once(
            lambda: self._http.attempt("POST", _BATCHES, self.model, _batch, "batches", content=body).id,
            lambda: self.find(sent, others, wait),
            wait,
        )

    def find(self, sent: Sent, others: Collection[str], wait: Wait) -> str | None:
        """Looks for a batch by its results, as a batch bears no mark; see `BatchClient.find`.

        Raises:
          Unsure: a batch of that size, and not older, has not ended.
        """
        open_ones = []
        for batch in self._since(datetime.fromisoformat(sent.time).timestamp() - CLOCKS_S, wait):
            if batch.total != len(sent.keys) or batch.id in others:
                continue
            if not batch.state.ended:
                open_ones.append(batch.id)
            elif batch.readable and any(each.key in sent.keys for each in self.results(batch.id, wait)[:1]):
                return batch.id
        if open_ones:
            raise Unsure(
                f"expected a batch that an earlier attempt may have sent, found {', '.join(open_ones)}, of "
                "which that cannot be seen before the end; the same command looks again."
            )
        return None

    def state(self, batch: str, wait: Wait) -> BatchState:
        """How far a batch is; see `BatchClient.state`."""
        return self._http.ask("GET", _path(batch), self.model, _batch, wait, "batches").state

    def results(self, batch: str, wait: Wait) -> list[Result]:
        """Reads the results; see `BatchClient.results`."""
        path = f"{_path(batch)}/results"
        return self._http.ask("GET", path, self.model, self._results, wait, "results")

    def _since(self, time: float, wait: Wait) -> "list[_Batch]":
        """The batches since a time, the latest first."""
        found: list[_Batch] = []
        after = ""
        while True:
            path = f"{_BATCHES}?limit=100{after}"
            page, more = self._http.ask("GET", path, self.model, _page, wait, "batches")
            found += [batch for batch in page if batch.time >= time]
            if not more or not page or page[-1].time < time:
                return found
            after = f"&after_id={quote(page[-1].id, safe='')}"

    def _results(self, content: bytes) -> list[Result]:
        return [self._result(row["custom_id"], row["result"]) for row in rows(content)]

    def _result(self, key: str, result: Mapping[str, Any]) -> Result:
        if result["type"] == "succeeded":
            return self._http.answered(key, result["message"], read_message)
        if result["type"] != "errored":
            return Result(key, failure=f"the batch ended before it was asked ({result['type']})")
        error = result["error"].get("error") or result["error"]
        return self._http.refused(key, _STATUSES.get(error["type"], 500), {"error": error}, self.model)

    def _body(self, request: Request, cache: bool) -> dict[str, Any]:
        system = [_block(each["content"]) for each in request.messages if each["role"] == "system"]
        turns: list[dict[str, Any]] = [
            {"role": each["role"], "content": [_block(each["content"])]}
            for each in request.messages
            if each["role"] != "system"
        ]
        shared = [*system, *(block for turn in turns[:-1] for block in turn["content"])]
        if cache and shared:
            shared[-1]["cache_control"] = {"type": "ephemeral"}
        fields = {
            "model": self.model,
            "system": system or None,
            "messages": turns,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "stop_sequences": list(request.stop) or None,
            **self.extra,
        }
        return present(fields)

    @cached_property
    def _http(self) -> Http:
        return Http(_SERVICE, self.base_url, self.timeout_s, self.max_retries)


def read_message(answer: Any) -> Completion:
    """A message.

    Raises:
      CallError: the model refused to answer.
    """
    text = clean("".join(block["text"] for block in answer["content"] if block["type"] == "text"))
    usage, reason = answer.get("usage") or {}, str(answer.get("stop_reason") or "")
    if reason == "refusal":
        raise CallError("the model refused to answer")
    new, kept, read = (
        usage.get(name) for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    )
    return Completion(
        text=text,
        prompt_tokens=total(new, kept, read),
        completion_tokens=count(usage.get("output_tokens")),
        finish_reason=_REASONS.get(reason, reason) or None,
        cached_tokens=count(read),
        model=said(answer.get("model")),
    )


def _block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


class _Batch(NamedTuple):
    """What a batch is said to be."""

    id: str
    state: BatchState
    total: int
    time: float
    readable: bool


def _path(batch: str) -> str:
    return f"{_BATCHES}/{quote(batch, safe='')}"


def _batch(content: bytes) -> _Batch:
    return _read_batch(json.loads(content))


def _page(content: bytes) -> tuple[list[_Batch], bool]:
    """The batches of a page, and whether there are more pages."""
    page = json.loads(content)
    return [_read_batch(each) for each in page["data"]], bool(page.get("has_more"))


def _read_batch(batch: Mapping[str, Any]) -> _Batch:
    counts, ended = batch["request_counts"], batch["processing_status"] == "ended"
    done = counts["succeeded"]
    lost = counts["errored"] + counts["canceled"] + counts["expired"]
    return _Batch(
        str(batch["id"]),
        BatchState(ended, done, lost),
        counts["processing"] + done + lost,
        datetime.fromisoformat(batch["created_at"]).timestamp(),
        bool(batch.get("results_url")),
    )
