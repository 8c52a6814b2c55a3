"""Runs to what answers: one alone with its adapter merged, or several on one base in one batch."""

from collections import deque
from collections.abc import Mapping
from itertools import product

import numpy as np

from fiat_jax.adapters import BASE
from fiat_jax.decoding.search import Search
from fiat_jax.decoding.stream import Decoder, Request
from fiat_jax.serving.service import Adapter, Loaded
from fiat_jax.study.answering import buckets_of
from fiat_jax.study.bank import Run, assemble_bank
from fiat_jax.study.bounds import Bounds
from fiat_jax.study.cascading import Cascade
from fiat_jax.study.predictor import Predictor
from fiat_jax.study.rationales import Reasoner


def load_runs(
    runs: Mapping[str, Run],
    search: Search,
    reasoner: Reasoner,
    batch_size: int,
    bounds: Bounds | None,
    cascade: Cascade | None = None,
) -> Loaded:
    """Loads the best checkpoints of runs and has the usual shapes compiled.

    Args:
      runs: by the names that requests give, the default first; on one mesh, which is that of the first.
      search: how an answer's tokens are chosen.
      reasoner: where rationales come from.
      batch_size: rows that are decoded together.
      bounds: what answers may be; None for anything.
      cascade: when the large model is asked; None for always.

    Raises:
      ConfigError, DataError: as `Predictor.decoder`, or for several runs as `assemble_bank`.
    """
    predictors = {
        name: Predictor(run.folder, run.experiment, search, reasoner, batch_size, bounds, cascade=cascade)
        for name, run in runs.items()
    }
    first = next(iter(runs.values())).experiment
    if len(runs) == 1:
        (predictor,) = predictors.values()
        decoding, numbers = predictor.decoder, dict.fromkeys(runs, BASE)
    else:
        bank, longest = assemble_bank(first, runs), first.task.targets_length
        constrained, buckets = bounds is not None, buckets_of(first.task)
        decoding = Decoder(
            bank.model, bank.variables, bank.mesh, longest, search, batch_size, constrained, buckets
        )
        numbers = dict(bank.numbers)
    assert isinstance(decoding, Decoder)
    warm_up(decoding)
    adapters = {name: Adapter(predictor, numbers[name]) for name, predictor in predictors.items()}
    return Loaded(decoding.run, adapters)


def warm_up(decoding: Decoder) -> None:
    """Has all shapes compiled that a decoder uses, so that no caller waits for a compiler.

    For each width of inputs it answers as many requests at once as each size of a batch has rows.
    """
    ending = decoding.model.config.eos_id
    batches = deque(product(decoding.buckets, decoding.sizes))

    def take(count: int, idle: bool) -> list[tuple[None, Request]] | None:
        if not batches:
            return None
        if not idle:
            return []
        width, rows = batches.popleft()
        return [(None, Request(np.full(width, ending, np.int32)))] * rows

    for _ in decoding.run(take):
        pass
