"""What a server's refusal means: that it may pass, that this request cannot, or that none can."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.calls import CallError, NotThere
from fiat_jax.reasoning.retry import TryAgain, retry_after

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading JSON raises that is not what it should be."""

_NO_CREDIT = ("insufficient_quota", "credit balance is too low")
_BAD_KEY = "API_KEY_INVALID"  # as Google says it, with status 400


def refusal(response: httpx.Response, reason: str, variable: str, model: str, kind: str) -> Exception:
    """The exception for a status other than 200.

    Args:
      response: what came.
      reason: what it says, as it may be shown.
      variable: of the environment, that holds the key.
      model: who was asked.
      kind: for what.
    """
    status, host = response.status_code, response.url.host
    found = f"{host} answered {status} ({reason[:300]})" if reason else f"{host} answered {status}"
    if status == 402 or any(word in reason for word in _NO_CREDIT):
        return ConfigError(f"{found}: the account has no credit left; top it up, then run the same command.")
    if status in (408, 409, 429) or status >= 500:
        return TryAgain(found, _asked_to_wait(response), busy=status in (429, 529))
    if status in (401, 403) or _BAD_KEY in response.text:
        return ConfigError(f"{found}: expected a key that may use {model!r}; check {variable}.")
    if status == 404 or status < 400:
        return NotThere(f"{found}: expected {kind} of {model!r} there; check base_url and model.")
    return CallError(found)


def reason_of(response: httpx.Response) -> str:
    """What the server says is wrong, on one short line."""
    text = response.text
    try:
        error = json.loads(text)["error"]
        text = error if isinstance(error, str) else f"{_kind(error)} {error['message']}"
    except UNREADABLE:
        pass
    return " ".join(text.split())


def _kind(error: Mapping[str, Any]) -> str:
    """What an error is called: some say it as its code, others beside a number."""
    names = (error.get(name) for name in ("code", "type", "status"))
    return next((name for name in names if isinstance(name, str)), "")


def _asked_to_wait(response: httpx.Response) -> float | None:
    """The seconds that a server asks to wait: in a header, or, as Google does, in the error's details."""
    seconds = retry_after(response.headers.get("Retry-After"))
    try:
        details = [] if seconds is not None else json.loads(response.content)["error"]["details"]
        delays = [detail["retryDelay"] for detail in details if "retryDelay" in detail]
        return max((float(delay.removesuffix("s")) for delay in delays), default=seconds)
    except UNREADABLE:
        return seconds
