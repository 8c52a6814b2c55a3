"""Runs to what answers: one alone with its adapter merged, or several on one base in one batch."""

from collections import deque
from collections.abc import Mapping

import numpy as np

from fiat_jax.adapters import BASE
from fiat_jax.decoding.search import Search
from fiat_jax.decoding.stream import Decoder, Request, Take
from fiat_jax.serving.service import Adapter, Loaded
from fiat_jax.study.answering import decoder
from fiat_jax.study.bank import Run, assemble_bank
from fiat_jax.study.predictor import Predictor, Reader
from fiat_jax.study.rationales import Reasoner


def load_runs(runs: Mapping[str, Run], search: Search, reasoner: Reasoner, batch_size: int) -> Loaded:
    """Loads the best checkpoints of runs and has the usual shapes compiled.

    Args:
      runs: by the names that requests give, the default first; on one mesh, which is that of the first.
      search: how an answer's tokens are chosen.
      reasoner: where rationales come from.
      batch_size: rows that are decoded together.

    Raises:
      ConfigError, DataError: as `Predictor`, or for several runs as `assemble_bank`.
    """
    (name, first), *others = runs.items()
    if others:
        bank = assemble_bank(first.experiment, runs)
        decoding = decoder(bank.model, bank.variables, bank.mesh, first.experiment.task, search, batch_size)
        readers = {name: Reader(run.experiment, search, reasoner) for name, run in runs.items()}
        adapters = {name: Adapter(reader, bank.numbers[name]) for name, reader in readers.items()}
    else:
        predictor = Predictor(first.folder, first.experiment, search, reasoner, batch_size)
        decoding, adapters = predictor.decoder, {name: Adapter(predictor, BASE)}
    warm_up(decoding)
    return Loaded(decoding.run, adapters)


def warm_up(decoding: Decoder) -> None:
    """Answers one request of each length that inputs are padded to, so that the first callers do not wait."""
    ending = decoding.model.config.eos_id
    requests = deque(Request(np.full(length, ending, np.int32)) for length in decoding.buckets)
    take: Take = lambda count, idle: [(None, requests.popleft())] if requests else None
    for _ in decoding.run(take):
        pass
