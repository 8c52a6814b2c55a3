"""Servers that speak OpenAI's protocol: hosted ones, vLLM on GPU or TPU, llama.cpp."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from fiat_jax.reasoning.calls import Completion, Request, Wait, canonical
from fiat_jax.reasoning.clients.http import Http, Service, check, count, present, said
from fiat_jax.reasoning.clients.text import BLANK_LINE, as_text, clean

Form = Literal["chat", "completion"]

PATHS: dict[Form, str] = {"chat": "/chat/completions", "completion": "/completions"}

_SERVICE = Service(
    "https://api.openai.com/v1", kind="chat completions", key="OPENAI_API_KEY", address="OPENAI_BASE_URL"
)


@dataclass(frozen=True)
class OpenAI:
    """A model behind a server that speaks OpenAI's chat completions, such as OpenAI, vLLM or llama.cpp.

    The key is read from OPENAI_API_KEY at each call and kept nowhere; a local server may need none.
    Time-outs, dropped connections, answers that are not JSON and the statuses 408, 409, 429 and 5xx are
    tried again.

    Attributes:
      model: the model's name on the server.
      base_url: the address up to and with /v1; by default OPENAI_BASE_URL, else OpenAI's own.
      temperature: 0 is greedy; None leaves it to the server.
      max_tokens: the longest rationale; None leaves it to the server.
      seed: for servers that sample reproducibly.
      extra: further fields of the request body; one that is None removes a field.
      timeout_s: how long the server may stay silent.
      max_retries: attempts after the first.
      form: 'chat', or 'completion' for a base model that has no chat template and reads one text. There a
        rationale ends at a blank line or where the prompt says, since a base model goes on with an example.
    """

    model: str
    base_url: str | None = None
    temperature: float | None = 0.0
    max_tokens: int | None = 512
    seed: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 120.0
    max_retries: int = 8
    form: Form = "chat"

    def __post_init__(self) -> None:
        ours = ("messages", "model", "n", "prompt", "stream")
        check("OpenAI", self.extra, ours, self.timeout_s, self.max_retries)

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of the HTTP request."""
        asked: dict[str, Any] = {"messages": list(request.messages)}
        stop = request.stop
        if self.form == "completion":
            asked, stop = {"prompt": as_text(request.messages)}, request.stop or (BLANK_LINE,)
        fields = {
            "model": self.model,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "stop": list(stop) or None,
            **asked,
            **self.extra,
        }
        return present(fields)

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        """Asks the server; see `Client.complete`."""
        body = canonical(self.payload(request))
        return self._http.complete(PATHS[self.form], body, self.model, READERS[self.form], wait)

    @cached_property
    def _http(self) -> Http:
        return Http(_SERVICE, self.base_url, self.timeout_s, self.max_retries)


def read_chat(answer: Any) -> Completion:
    """The first choice of a chat completion."""
    return _choice(answer, answer["choices"][0]["message"]["content"] or "")


def read_text(answer: Any) -> Completion:
    """The first choice of a completion of a text."""
    return _choice(answer, answer["choices"][0]["text"])


READERS = {"chat": read_chat, "completion": read_text}


def _choice(answer: Any, text: str) -> Completion:
    usage = answer.get("usage") or {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    return Completion(
        text=clean(text),
        prompt_tokens=count(usage.get("prompt_tokens")),
        completion_tokens=count(usage.get("completion_tokens")),
        finish_reason=said(answer["choices"][0].get("finish_reason")),
        cached_tokens=count(cached),
        model=said(answer.get("model")),
        fingerprint=said(answer.get("system_fingerprint")),
    )
