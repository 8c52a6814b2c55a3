"""From a socket to an exit: the server's life, and what a signal does to it."""

import asyncio
import atexit
import ipaddress
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

import uvicorn

from fiat_jax.errors import ConfigError, FiatError
from fiat_jax.reasoning.pool import first_signal
from fiat_jax.serving.app import make_app
from fiat_jax.serving.limits import Limits
from fiat_jax.serving.schemas import About
from fiat_jax.serving.service import Loaded, Service

_CLOSING_S = 5
"""How long a caller may take to read its answer when the server stops."""

_ENDING_S = 1.0
"""How long the decoding thread may take to end, when there is nothing left for it to do."""

_log = logging.getLogger(__name__)


class Server:
    """A service at an address.

    Args:
      load: makes what answers, on the thread that will run it.
      about: what is served.
      limits: how much it takes on.
      host: the name or the number of the address.
      port: 0 for one that is free.

    Raises:
      ConfigError: the address cannot be had.

    Attributes:
      address: where it is reached.
    """

    def __init__(
        self, load: Callable[[], Loaded], about: About, limits: Limits, host: str, port: int
    ) -> None:
        self._load, self._about, self._limits = load, about, limits
        self._socket = _bound(host, port)
        host, port = self._socket.getsockname()[:2]
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._loopback = ipaddress.ip_address(host).is_loopback
        self._stop: Callable[[], object] = lambda: None
        self._stopping = False

    def run(self) -> None:
        """Serves until a signal, `stop`, or a failure; what was accepted is then still answered.

        Raises:
          FiatError: there was no time to answer all that was accepted.
          BaseException: what the decoding thread died of.
        """
        service = Service(self._limits)
        decoding = threading.Thread(target=service.run, args=(self._load, self.stop), daemon=True)
        with self._socket, first_signal(lambda _: self.stop()):
            _log.info("%s: loading; GET /health says when it is ready, GET /docs how to ask", self.address)
            if not self._loopback:
                _log.warning("there is no authentication: whoever reaches this address can ask")
            decoding.start()
            left = asyncio.run(self._serve(service))
        decoding.join(_ENDING_S)
        if decoding.is_alive():
            atexit.register(_leave, FiatError.exit_code if left else 0)
        if service.failure is not None:
            raise service.failure
        if left:
            raise FiatError(f"expected to answer all rows within {self._limits.drain_s:g} s, gave up {left}.")

    def stop(self) -> None:
        """Accepts no more and ends when what was accepted is answered; may be called from any thread."""
        self._stopping = True
        with suppress(RuntimeError):  # the loop has ended, and all is stopped
            self._stop()

    async def _serve(self, service: Service) -> int:
        """Serves until it is told to stop; gives how many rows had to be given up."""
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        if self._stopping:
            stop.set()
        server = _uvicorn(make_app(service, self._about))
        serving = asyncio.create_task(server.serve([self._socket]))
        serving.add_done_callback(lambda _: stop.set())
        await stop.wait()
        left = await service.drain()
        server.should_exit = True
        await serving
        return left


def _leave(code: int) -> None:
    """Ends the process with a thread still at work: Python's own end would pull XLA from under it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Uvicorn(uvicorn.Server):
    """Leaves signals to us: uvicorn closes its socket first and dies of the signal last."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def _uvicorn(app: object) -> _Uvicorn:
    return _Uvicorn(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_CLOSING_S,
        )
    )


def _bound(host: str, port: int) -> socket.socket:
    try:
        (family, *_), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"serve.host, serve.port: expected an address of this machine that is free, found {host} and "
            f"{port} ({error}); give others."
        ) from None
