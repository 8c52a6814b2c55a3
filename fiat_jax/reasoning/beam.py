"""Annotation past one machine, as it is configured. Apache Beam is loaded when it runs."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.annotate import Summary
from fiat_jax.reasoning.calls import Client
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.reasoning.store import Store

if TYPE_CHECKING:
    from fiat_jax.reasoning.pipeline import Part

DIRECT = "DirectRunner"


@dataclass(frozen=True)
class Beam:
    """An Apache Beam pipeline in the place of this process's threads: as many machines as its runner has.

    Attributes:
      folder: where each answer is kept as soon as it comes; all machines must reach it, so that it lies on
        gs:// or the like unless the runner uses this machine only. It may be removed when a run has ended
        well, as the store then has all that is in it.
      runner: DirectRunner is this machine; DataflowRunner, FlinkRunner and others run elsewhere.
      options: the flags of Beam and of its runner, such as '--region=europe-west4'.
    """

    folder: str
    runner: str = DIRECT
    options: tuple[str, ...] = ()

    def annotate(
        self,
        parts: "Iterable[Part]",
        prompt: Prompt | None,
        client: Client,
        store: Store,
        *,
        forbidden: Iterable[str] = (),
        concurrency: int = 8,
    ) -> Summary:
        """Gets a rationale for every example that has none, and keeps it in the store.

        Workers keep each answer in the folder before they hand it on, so that neither a lost worker nor a
        killed pipeline repeats a call. A failure is not kept: it is written beside the store, as a row of id
        and reason.

        Args:
          parts: the rows, in parts that a worker can read.
          prompt: the reasoning prompt; None for a client that answers by id.
          client: the large model.
          store: what the answers are folded into at the end.
          forbidden: the fields that hold the label.
          concurrency: calls at a time in each worker process.

        Raises:
          DataError: a leak, a missing field, an id that comes twice, or no row at all; nothing was asked.
          ConfigError: Apache Beam is not installed, or no request can have an answer.
          FiatError: some examples have no rationale after all attempts; the others have.
          InterruptedRun: SIGTERM came, and the pipeline ran in this process.
          KeyboardInterrupt: Ctrl-C came.
        """
        if concurrency < 1:
            raise ConfigError(f"expected concurrency of 1 or more, found {concurrency}.")
        return _load()(self, parts, prompt, client, store, forbidden, concurrency)


def _load() -> Callable[..., Summary]:
    """Loads Beam, without what it logs then about a library that only BigQuery needs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        import apache_beam  # noqa: F401
    except ImportError:
        raise ConfigError("Beam: expected Apache Beam, found none; pip install 'fiat-jax[beam]'.") from None
    finally:
        logging.disable(before)
    from fiat_jax.reasoning.launching import launch

    return launch
