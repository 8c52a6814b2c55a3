"""What clients over HTTP share: where to, with which key, what may pass and what cannot."""

import json
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import httpx

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.calls import CallError, Completion, GaveUp, Result, Wait
from fiat_jax.reasoning.clients.refusals import UNREADABLE, reason_of, refusal
from fiat_jax.reasoning.retry import TryAgain, persist

T = TypeVar("T")

Read = Callable[[Any], Completion]
"""A completion from the JSON of an answer. Where it is no such answer, any error of a look-up will do; a
CallError says that there is one, and that it refuses."""

CLOCKS_S = 3600.0
"""By how much a provider's clock may differ from ours when we look for what was sent."""


@dataclass(frozen=True)
class Service:
    """What is known of a provider.

    Attributes:
      url: its own address, which is not called without a key; '' if it has none.
      kind: what it answers with, as in 'expected chat completions'.
      key: the environment variable that holds the key; '' if none is sent.
      address: the environment variable that holds another address; '' for none.
      header: that carries the key.
      before: what stands before the key in it.
      headers: others that every call carries.
    """

    url: str
    kind: str
    key: str = ""
    address: str = ""
    header: str = "Authorization"
    before: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=dict)


class Http:
    """Asks one service, from many threads at once.

    Time-outs, dropped connections, answers that are not what they should be and the statuses 408, 409, 429
    and 5xx are tried again. The key is read from the environment at each attempt and kept nowhere.

    Args:
      service: who is asked.
      base_url: where; None for the service's own address, or that of the environment.
      timeout_s: how long it may stay silent.
      max_retries: attempts after the first.
    """

    def __init__(self, service: Service, base_url: str | None, timeout_s: float, max_retries: int) -> None:
        for name in ("httpx", "httpcore"):  # a line a call at INFO, and the server's headers at DEBUG
            logging.getLogger(name).setLevel(logging.WARNING)
        self._service, self._base_url = service, base_url
        self._timeout_s, self._max_retries = timeout_s, max_retries
        self._client = httpx.Client(
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            verify=_certificates(),
            # Without a key it is a server of this process, which no proxy of the environment leads to.
            trust_env=bool(service.key),
        )

    def complete(self, path: str, body: str, model: str, read: Read, wait: Wait) -> Completion:
        """Posts a request until it is answered.

        Args:
          path: after the base URL.
          body: JSON.
          model: what errors call the model.
          read: reads the answer.
          wait: how to pause between attempts.

        Raises:
          CallError, ConfigError: as `Client.complete`.
        """
        return self.ask("POST", path, model, lambda content: read(json.loads(content)), wait, content=body)

    def ask(
        self,
        method: str,
        path: str,
        model: str,
        read: Callable[[bytes], T],
        wait: Wait,
        kind: str = "",
        **sent: Any,
    ) -> T:
        """Asks until there is an answer.

        Args:
          method: GET or POST.
          path: after the base URL.
          model: what errors call the model.
          read: reads the body of an answer; see `Read`.
          wait: how to pause between attempts.
          kind: what is asked for, where it is not the service's own.
          sent: what is posted, as httpx takes it: 'content' is JSON.

        Raises:
          CallError, ConfigError: as `Client.complete`.
        """
        return persist(lambda: self.attempt(method, path, model, read, kind, **sent), self._max_retries, wait)

    def make_once(self, make: Callable[[], T], find: Callable[[], T | None], wait: Wait) -> T:
        """Makes what must not be made twice: after an attempt that failed it is looked for before the next.

        Args:
          make: one attempt.
          find: looks for what an attempt has made.
          wait: how to pause between attempts.

        Raises:
          GaveUp: it may have been made or not.
          CallError, ConfigError: it was refused, and is not made.
        """
        tried = False

        def attempt() -> T:
            nonlocal tried
            if not tried:
                try:
                    return make()
                except TryAgain:
                    tried = True
                    raise
            try:
                return find() or make()
            except (CallError, ConfigError) as error:
                raise GaveUp(str(error)) from None

        return persist(attempt, self._max_retries, wait)

    def attempt(
        self, method: str, path: str, model: str, read: Callable[[bytes], T], kind: str = "", **sent: Any
    ) -> T:
        """One attempt of `ask`.

        Raises:
          TryAgain: it failed in a way that may pass.
        """
        service, url, kind = self._service, self._url(path), kind or self._service.kind
        key = _key(service.key)
        if service.key and key is None and url.host == httpx.URL(service.url).host:
            raise ConfigError(
                f"expected a key in {service.key}, found none; set it, or base_url for another server."
            )
        headers = {**service.headers, **({"Content-Type": "application/json"} if "content" in sent else {})}
        if key:
            headers[service.header] = service.before + key
        try:
            response = self._client.request(method, url, headers=headers, **sent)
        except httpx.TimeoutException:
            raise TryAgain(f"{url.host} was silent for {self._timeout_s:g} s") from None
        except httpx.RequestError as error:
            raise TryAgain(f"{url.host}: {_without(key, str(error) or type(error).__name__)}") from None
        if response.status_code == 200:
            return self._read(response, key, read, kind)
        raise refusal(response, _without(key, reason_of(response)), service.key, model, kind)

    def answered(self, key: str, body: Any, read: Read) -> Result:
        """An answer in a batch."""
        try:
            completion = read(body)
        except CallError as error:
            return Result(key, failure=str(error), for_good=True)
        except UNREADABLE:
            return Result(key, failure=f"the batch has something else in the place of {self._service.kind}")
        why = completion.refusal()
        return Result(key, completion, why, bool(why))

    def refused(self, key: str, status: int, body: Any, model: str) -> Result:
        """A request of a batch that has failed, judged as a call of its own is by its status."""
        response = httpx.Response(status, json=body, request=httpx.Request("POST", self._url("")))
        reason = self.shown(reason_of(response))
        error = refusal(response, reason, self._service.key, model, self._service.kind)
        return Result(key, failure=str(error), for_good=isinstance(error, CallError))

    def shown(self, text: str) -> str:
        """A server's text without the key."""
        return _without(_key(self._service.key), text)

    def _url(self, path: str) -> httpx.URL:
        service = self._service
        base = self._base_url or os.environ.get(service.address) or service.url
        expected = f"base_url: expected an address like {service.url}"
        try:
            url = httpx.URL(base.rstrip("/") + path)
        except httpx.InvalidURL:
            raise ConfigError(f"{expected}.") from None
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise ConfigError(f"{expected}, without user or password; a key belongs in {service.key}.")
        return url

    def _read(self, response: httpx.Response, key: str | None, read: Callable[[bytes], T], kind: str) -> T:
        """Reads an answer of status 200."""
        try:
            return read(response.content)
        except UNREADABLE:
            form = response.headers.get("Content-Type", "a body")
            found = f"{response.url.host} answered 200 with {form} in the place of {kind}"
            raise TryAgain(_without(key, f"{found} ({reason_of(response)[:300]})")) from None


def check(name: str, extra: Mapping[str, Any], ours: tuple[str, ...], timeout_s: float, retries: int) -> None:
    """Checks the settings that clients share.

    Args:
      name: of the client.
      extra: further fields of the body.
      ours: those that may not be among them.
      timeout_s: how long the server may stay silent.
      retries: attempts after the first.

    Raises:
      ConfigError: they cannot work.
    """
    for field_name in ours:
        if field_name in extra:
            raise ConfigError(f"{name}.extra: {field_name!r} is set by fiat_jax itself; remove it.")
    if timeout_s <= 0 or retries < 0:
        raise ConfigError(
            f"{name}: expected timeout_s above 0 and max_retries of 0 or more, "
            f"found {timeout_s} and {retries}."
        )


def rows(content: bytes) -> list[Any]:
    """JSON lines."""
    return [json.loads(line) for line in content.split(b"\n") if line.strip()]


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a body that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def count(value: object) -> int | None:
    """A number of tokens, where it is one."""
    return value if isinstance(value, int) else None


def said(value: object) -> str | None:
    """What a server calls something, where it says it."""
    return str(value) if value else None


def total(*values: object) -> int | None:
    """The sum of numbers of tokens; None where none of them is one."""
    counts = [value for value in values if isinstance(value, int)]
    return sum(counts) if counts else None


@cache
def _certificates() -> ssl.SSLContext:
    """Whom to trust; reading them takes longer than many a call."""
    return httpx.create_ssl_context()


def _key(variable: str) -> str | None:
    key = os.environ.get(variable, "").strip() if variable else ""
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{variable}: expected printable ASCII, found something else; set it anew.")
    return key or None


def _without(key: str | None, text: str) -> str:
    """Text that may be shown: a server can echo the key. Placeholders such as EMPTY are no secret."""
    return text.replace(key, "***") if key and len(key) >= 8 else text
