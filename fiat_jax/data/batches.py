"""Batches of token ids in numpy: which examples a step reads is a function of seed and step alone."""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np

from fiat_jax.data.pipeline import Examples
from fiat_jax.errors import ConfigError
from fiat_jax.typing import Batch

BUCKETS = (64, 128, 192, 256, 320, 384, 448, 512, 768, 1024)
"""Lengths that inputs are padded to: few, since each is compiled, but close enough to waste little."""

TARGET_BUCKETS = (32, 64, 128, 256, 512)
"""The same for targets."""

EVAL_BUCKETS = (128, 256, 512, 1024)
"""The same for inputs that are only answered: what a coarser padding costs is less than one more program."""

_WINDOW = 8


class TrainBatches:
    """An endless stream of full batches: one shuffled epoch after another, without a seam.

    Within a window of some batches, rows of like length go together, which pads far less than chance does;
    the batches of a window come in random order.

    Args:
      examples: what to read.
      batch_size: rows a batch.
      seed: of the order.
      buckets: lengths to pad inputs to, ascending.
    """

    def __init__(
        self, examples: Examples, batch_size: int, seed: int, buckets: tuple[int, ...] = BUCKETS
    ) -> None:
        _check(examples, batch_size, buckets)
        self.examples, self.batch_size, self.seed, self.buckets = examples, batch_size, seed, buckets
        self._lengths = np.array([len(row) for row in examples.inputs])
        self._tokens = self._lengths + np.array([len(row) for row in examples.targets])
        self._epoch = functools.lru_cache(maxsize=4)(functools.partial(_permutation, len(examples), seed))
        self._window = functools.lru_cache(maxsize=2)(self._batches_of_window)

    @property
    def steps_per_epoch(self) -> float:
        """Batches in which each example comes once."""
        return len(self.examples) / self.batch_size

    def rows(self, step: int) -> np.ndarray:
        """Positions of a step's examples, int64 [B]; steps count from 0."""
        return self._window(step // _WINDOW)[step % _WINDOW]

    def _batches_of_window(self, window: int) -> np.ndarray:
        """Rows of a window's batches, [_WINDOW, B]."""
        size = _WINDOW * self.batch_size
        stream = range(window * size, (window + 1) * size)
        rows = np.array([self._epoch(at // len(self.examples))[at % len(self.examples)] for at in stream])
        rows = rows[np.argsort(self._lengths[rows], kind="stable")].reshape(_WINDOW, self.batch_size)
        return rows[_permutation(_WINDOW, self.seed, window)]

    def tokens(self, step: int) -> int:
        """Tokens that a step reads and learns; padding does not count."""
        return int(self._tokens[self.rows(step)].sum())

    def batch(self, step: int, own: np.ndarray | None = None) -> Batch:
        """The batch of a step.

        Args:
          step: which.
          own: positions in the batch of the rows to make, padded as the whole is; None for all.
        """
        return _pad(self.examples, self.rows(step), self.buckets, own)


class EvalBatch(NamedTuple):
    """A batch that counts each example once.

    Attributes:
      batch: padded ids; rows that only fill it repeat a real one at weight 0.
      rows: positions of the whole batch's examples, int64 [B]; -1 for rows that only fill.
    """

    batch: Batch
    rows: np.ndarray


def eval_batches(
    examples: Examples,
    batch_size: int,
    buckets: tuple[int, ...] = EVAL_BUCKETS,
    own: np.ndarray | None = None,
) -> Iterator[EvalBatch]:
    """All examples once, the longest first, so that little is padded and memory runs out at once or never.

    Args:
      examples: what to read.
      batch_size: rows a batch, the last one filled up.
      buckets: as in `TrainBatches`.
      own: as in `TrainBatches.batch`.
    """
    _check(examples, batch_size, buckets)
    order = np.argsort([-len(row) for row in examples.inputs], kind="stable")
    for start in range(0, len(order), batch_size):
        real = order[start : start + batch_size]
        filled = np.concatenate([real, np.repeat(real[:1], batch_size - len(real))])
        batch = _pad(examples, filled, buckets, own)
        batch["weights"][(np.arange(batch_size) if own is None else own) >= len(real)] = 0
        yield EvalBatch(batch, np.concatenate([real, np.full(batch_size - len(real), -1)]))


def _permutation(size: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch, from raw random bits, which no release of numpy changes."""
    return np.argsort(np.random.Philox(key=[seed, epoch]).random_raw(size), kind="stable")


def _pad(
    examples: Examples, rows: np.ndarray, buckets: tuple[int, ...], own: np.ndarray | None = None
) -> Batch:
    targets = _stack(examples.targets, rows, TARGET_BUCKETS, examples.pad_id, own)
    padded = {
        "inputs": _stack(examples.inputs, rows, buckets, examples.pad_id, own),
        "targets": targets,
        "weights": (targets != examples.pad_id).astype(np.float32),
    }
    return cast(Batch, padded)


def _stack(
    every: Sequence[np.ndarray],
    rows: np.ndarray,
    buckets: tuple[int, ...],
    pad_id: int,
    own: np.ndarray | None,
) -> np.ndarray:
    """Some rows, padded to the bucket of the longest of them, and never beyond the longest of all.

    Only the own of them are made, and padded as all are.
    """
    longest = max(len(every[row]) for row in rows)
    width = next((bucket for bucket in buckets if bucket >= longest), longest)
    rows = rows if own is None else rows[own]
    stacked = np.full((len(rows), min(width, max(map(len, every)))), pad_id, np.int32)
    for i, row in enumerate(rows):
        stacked[i, : len(every[row])] = every[row]
    return stacked


def _check(examples: Examples, batch_size: int, buckets: tuple[int, ...]) -> None:
    if batch_size < 1:
        raise ConfigError(f"expected a batch size of 1 or more, found {batch_size}.")
    if list(buckets) != sorted(set(buckets)):
        raise ConfigError(f"expected buckets in ascending order, found {buckets}.")
    longest = max(map(len, examples.inputs))
    if not buckets or buckets[-1] < longest:
        raise ConfigError(f"expected a bucket for the longest input, {longest} tokens, found {buckets}.")
