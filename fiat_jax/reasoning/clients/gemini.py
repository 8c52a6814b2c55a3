"""Google's Gemini, over its own protocol: https://ai.google.dev/api/generate-content."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from fiat_jax.reasoning.calls import CallError, Completion, Request, Wait, canonical
from fiat_jax.reasoning.clients.http import Http, Service, check, count, present, said, total
from fiat_jax.reasoning.clients.text import clean

_SERVICE = Service(
    "https://generativelanguage.googleapis.com/v1beta",
    kind="generated content",
    key="GEMINI_API_KEY",
    header="x-goog-api-key",
    before="",
)
_ROLES = {"user": "user", "assistant": "model"}
_REASONS = {"STOP": "stop", "MAX_TOKENS": "length"}


@dataclass(frozen=True)
class Gemini:
    """A Gemini model, over generateContent. The key is read from GEMINI_API_KEY at each call.

    Google caches what prompts begin with by itself; how much was cached is counted. What is tried again is
    said at `OpenAI`.

    Attributes:
      model: its name, such as 'gemini-2.5-flash'.
      base_url: the address up to and with the version; by default Google's own.
      temperature: 0 is greedy; None leaves it to the server.
      max_tokens: the longest rationale, thoughts included; None leaves it to the server.
      seed: of what is drawn.
      extra: further fields of the request body, such as safetySettings; those of generationConfig are added
        to ours, such as {'generationConfig': {'thinkingConfig': {'thinkingBudget': 0}}}.
      timeout_s: how long the server may stay silent.
      max_retries: attempts after the first.
    """

    model: str
    base_url: str | None = None
    temperature: float | None = 0.0
    max_tokens: int | None = 512
    seed: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 120.0
    max_retries: int = 8

    def __post_init__(self) -> None:
        ours = ("contents", "model", "systemInstruction")
        check("Gemini", self.extra, ours, self.timeout_s, self.max_retries)

    def payload(self, request: Request) -> dict[str, Any]:
        """The model and the body of the HTTP request."""
        return {"model": self.model, **self._body(request)}

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        """Asks the server; see `Client.complete`."""
        name = self.model if "/" in self.model else f"models/{self.model}"
        path, body = f"/{quote(name)}:generateContent", canonical(self._body(request))
        return self._http.complete(path, body, self.model, read_content, wait)

    def _body(self, request: Request) -> dict[str, Any]:
        system = [each["content"] for each in request.messages if each["role"] == "system"]
        config = {
            "temperature": self.temperature,
            "maxOutputTokens": self.max_tokens,
            "seed": self.seed,
            "stopSequences": list(request.stop) or None,
        }
        fields = {
            **self.extra,
            "systemInstruction": {"parts": _parts(*system)} if system else None,
            "contents": [
                {"role": _ROLES[each["role"]], "parts": _parts(each["content"])}
                for each in request.messages
                if each["role"] != "system"
            ],
            "generationConfig": present(config | dict(self.extra.get("generationConfig") or {})),
        }
        return present(fields)

    @cached_property
    def _http(self) -> Http:
        return Http(_SERVICE, self.base_url, self.timeout_s, self.max_retries)


def read_content(answer: Any) -> Completion:
    """The first candidate of an answer.

    Raises:
      CallError: the prompt or the answer was blocked.
    """
    if not answer.get("candidates"):
        raise CallError(f"the prompt is blocked ({answer['promptFeedback']['blockReason']})")
    candidate, usage = answer["candidates"][0], answer.get("usageMetadata") or {}
    parts = (candidate.get("content") or {}).get("parts") or []
    text = clean("".join(part.get("text", "") for part in parts if not part.get("thought")))
    reason = str(candidate.get("finishReason") or "")
    if not text and reason not in ("", *_REASONS):
        raise CallError(f"the answer is blocked ({reason})")
    return Completion(
        text=text,
        prompt_tokens=count(usage.get("promptTokenCount")),
        completion_tokens=total(usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount")),
        finish_reason=_REASONS.get(reason, reason) or None,
        cached_tokens=count(usage.get("cachedContentTokenCount")),
        model=said(answer.get("modelVersion")),
    )


def _parts(*texts: str) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]
