"""The large model, reached over HTTP or replayed from a file."""

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.calls import CallError, Completion, Request, Wait, canonical
from fiat_jax.reasoning.retry import TryAgain, persist, retry_after
from fiat_jax.reasoning.store import open_rationales

_OPENAI_URL = "https://api.openai.com/v1"
_OURS = ("messages", "model", "n", "stream")


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
        for name in _OURS:
            if name in self.extra:
                raise ConfigError(f"OpenAI.extra: {name!r} is set by fiat_jax itself; remove it.")
        if self.timeout_s <= 0 or self.max_retries < 0:
            raise ConfigError(
                f"OpenAI: expected timeout_s above 0 and max_retries of 0 or more, "
                f"found {self.timeout_s} and {self.max_retries}."
            )

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of the HTTP request."""
        body = {
            "model": self.model,
            "messages": list(request.messages),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "stop": list(request.stop) or None,
            **self.extra,
        }
        return {name: value for name, value in body.items() if value is not None}

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        """Asks the server; see `Client.complete`."""
        return persist(lambda: self._attempt(request), self.max_retries, wait)

    def _attempt(self, request: Request) -> Completion:
        url, key = _address(self.base_url), _key()
        if key is None and url.host == httpx.URL(_OPENAI_URL).host:
            raise ConfigError(
                "expected a key in OPENAI_API_KEY, found none; set it, or base_url for another server."
            )
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        try:
            response = self._http.post(url, content=canonical(self.payload(request)), headers=headers)
        except httpx.TimeoutException:
            raise TryAgain(f"{url.host} was silent for {self.timeout_s:g} s") from None
        except httpx.RequestError as error:
            raise TryAgain(f"{url.host}: {_without(key, str(error) or type(error).__name__)}") from None
        if response.status_code == 200:
            return _completion(response.content)
        raise _refusal(response, _without(key, _reason(response)), self.model)

    @cached_property
    def _http(self) -> httpx.Client:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it says a line a call at INFO
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.Client(timeout=self.timeout_s, limits=limits)


@dataclass(frozen=True)
class Replay:
    """Rationales that were written before, answered by example id.

    Attributes:
      path: a JSONL file of {"id", "rationale"} rows, or a rationale store.
    """

    path: str

    @property
    def model(self) -> str:
        """What a store names as the writer."""
        return "replay"

    def payload(self, request: Request) -> dict[str, Any]:
        """The id and its rationale: an edited row counts as a new answer, an edited prompt does not."""
        return {"model": self.model, "id": request.id, "rationale": self._rationales.get(request.id)}

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        """Looks the rationale up; see `Client.complete`."""
        if request.id not in self._rationales:
            raise CallError(f"{self.path} has no rationale for it")
        return Completion(self._rationales[request.id])

    @cached_property
    def _rationales(self) -> Mapping[str, str]:
        return open_rationales(self.path)


def _address(base_url: str | None) -> httpx.URL:
    base = base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI_URL
    try:
        url = httpx.URL(base.rstrip("/") + "/chat/completions")
    except httpx.InvalidURL:
        raise ConfigError("base_url: expected an address like http://localhost:8000/v1.") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise ConfigError(
            "base_url: expected an address like http://localhost:8000/v1, without user or password; "
            "a key belongs in OPENAI_API_KEY."
        )
    return url


def _key() -> str | None:
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError("OPENAI_API_KEY: expected printable ASCII, found something else; set it anew.")
    return key or None


def _without(key: str | None, text: str) -> str:
    """Text that may be shown: a server can echo the key. Placeholders such as EMPTY are no secret."""
    return text.replace(key, "***") if key and len(key) >= 8 else text


def _completion(body: bytes) -> Completion:
    try:
        answer = json.loads(body)
        choice, usage = answer["choices"][0], answer.get("usage") or {}
        text = choice["message"]["content"] or ""
        return Completion(
            text=text.strip().encode(errors="replace").decode(),  # half an emoji is no text
            prompt_tokens=_count(usage.get("prompt_tokens")),
            completion_tokens=_count(usage.get("completion_tokens")),
            finish_reason=str(choice.get("finish_reason") or "") or None,
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        raise TryAgain("status 200 with a body that is no chat completion") from None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _reason(response: httpx.Response) -> str:
    """What the server says is wrong, on one short line."""
    text = response.text
    try:
        error = json.loads(text)["error"]
        text = error if isinstance(error, str) else f"{error.get('code') or ''} {error['message']}"
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    return " ".join(text.split())


def _refusal(response: httpx.Response, reason: str, model: str) -> Exception:
    """The exception for a status other than 200."""
    status, host = response.status_code, response.url.host
    found = f"{host} answered {status} ({reason[:300]})" if reason else f"{host} answered {status}"
    if status == 429 and "insufficient_quota" in reason:
        return ConfigError(f"{found}: the account has no credit left; top it up, then run the same command.")
    if status in (408, 409, 429) or status >= 500:
        return TryAgain(found, retry_after(response.headers.get("Retry-After")))
    if status in (401, 403):
        return ConfigError(f"{found}: expected a key that may use {model!r}; check OPENAI_API_KEY.")
    if status == 404 or status < 400:
        return ConfigError(
            f"{found}: expected chat completions of {model!r} there; check base_url and model."
        )
    return CallError(found)
