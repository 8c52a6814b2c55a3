"""Anthropic's Claude, over its own protocol: https://docs.anthropic.com/en/api/messages."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.calls import CallError, Completion, Request, Wait, canonical
from fiat_jax.reasoning.clients.http import Http, Service, check, count, present, said, total
from fiat_jax.reasoning.clients.text import clean

_SERVICE = Service(
    "https://api.anthropic.com/v1",
    kind="messages",
    key="ANTHROPIC_API_KEY",
    header="x-api-key",
    before="",
    headers={"anthropic-version": "2023-06-01"},
)
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
