"""Batches of token ids in numpy: which examples a step reads is a function of seed and step alone."""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np

from fiat_jax.data.packing import packed
from fiat_jax.data.pipeline import Examples
from fiat_jax.data.rates import Mixing, RatedStream
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

    With rates of languages that are not proportional, each language has epochs of its own, and small ones
    come round more often (`RatedStream`).

    Within a window of some batches, rows of like length go together, which pads far less than chance does;
    the batches of a window come in random order.

    Args:
      examples: what to read.
      batch_size: examples a batch.
      seed: of the order.
      buckets: lengths to pad inputs to, ascending.
      mixing: rates of the examples' languages.
      packed_in: a number that the rows of batches in which examples share rows are a multiple of; None gives
        each example a row of its own. Those that share are a chance mixture of lengths.

    Attributes:
      read: all that batches are made of.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        seed: int,
        buckets: tuple[int, ...] = BUCKETS,
        mixing: Mixing = "proportional",
        packed_in: int | None = None,
    ) -> None:
        check_examples(examples, batch_size, buckets)
        self.examples, self.batch_size, self.seed, self.buckets = examples, batch_size, seed, buckets
        self.read: tuple[Examples, ...] = (examples,)
        self.packed_in = packed_in
        self._longest = examples.lengths
        self._order = functools.lru_cache(maxsize=4)(functools.partial(_permutation, len(examples), seed))
        self._rated = None
        if mixing != "proportional":
            self._rated = RatedStream(examples.languages, mixing, functools.partial(_permutation_of, seed))
        self._packed = functools.lru_cache(maxsize=4)(self._packed_batch)
        self._window = functools.lru_cache(maxsize=2)(self._batches_of_window)

    @property
    def steps_per_epoch(self) -> float:
        """Batches with as many examples as there are: each once, where rates are proportional."""
        return len(self.examples) / self.batch_size

    def rows_of(self, step: int) -> int:
        """How many rows the batch of a step has."""
        return self.batch_size if self.packed_in is None else len(self._packed(step)["inputs"])

    def rows(self, step: int) -> np.ndarray:
        """Positions of a step's examples, int64 [B]; steps count from 0."""
        return np.array([row for _, row in self._places(step)])

    def tokens(self, step: int) -> int:
        """Tokens that a step reads and learns; padding does not count."""
        targets = self.examples.targets
        return sum(len(self._inputs(*place)) + len(targets[place[1]]) for place in self._places(step))

    def batch(self, step: int, own: np.ndarray | None = None) -> Batch:
        """The batch of a step.

        Args:
          step: which.
          own: positions in the batch of the rows to make, padded as the whole is; None for all.
        """
        if self.packed_in is not None:
            whole = cast(dict[str, np.ndarray], self._packed(step))
            return cast(Batch, {name: rows if own is None else rows[own] for name, rows in whole.items()})
        places = self._places(step)
        inputs = [self._inputs(*place) for place in places]
        targets = [self.examples.targets[row] for _, row in places]
        return pad(inputs, targets, self._longest, self.buckets, self.examples.pad_id, own)

    def _packed_batch(self, step: int) -> Batch:
        """The batch of a step with rows shared, in one of a few numbers of rows, since each is compiled."""
        assert self.packed_in is not None
        inputs = [self._inputs(*place) for place in self._places(step)]
        targets = [self.examples.targets[row] for row in self.rows(step)]
        multiple = self.packed_in * max(self.batch_size // (16 * self.packed_in), 1)
        return packed(inputs, targets, self._widths, multiple, self.examples.pad_id)

    @functools.cached_property
    def _widths(self) -> tuple[int, int]:
        """Tokens of a shared row: of inputs as many as the longest has, of targets what goes with that."""
        targets = list(map(len, self.examples.targets))
        read = sum(map(len, self.examples.inputs))
        usual = 1.25 * self._longest[0] * sum(targets) / read
        return self._longest[0], -(-max(self._longest[1], round(usual)) // 8) * 8

    def _inputs(self, epoch: int, row: int) -> np.ndarray:
        """What is read of an example in an epoch."""
        return self.examples.inputs[row]

    def _places(self, step: int) -> list[tuple[int, int]]:
        """The epoch and the position of each of a step's examples."""
        return [self._place(int(at)) for at in self._window(step // _WINDOW)[step % _WINDOW]]

    def _place(self, at: int) -> tuple[int, int]:
        """The same of a place in the stream."""
        if self._rated is not None:
            return self._rated.place(at)
        epoch, within = divmod(at, len(self.examples))
        return epoch, int(self._order(epoch)[within])

    def _batches_of_window(self, window: int) -> np.ndarray:
        """Places in the stream of a window's batches, [_WINDOW, B]."""
        size = _WINDOW * self.batch_size
        stream = np.arange(window * size, (window + 1) * size)
        if self.packed_in is not None:
            return stream.reshape(_WINDOW, self.batch_size)
        lengths = [len(self._inputs(*self._place(int(at)))) for at in stream]
        batches = stream[np.argsort(lengths, kind="stable")].reshape(_WINDOW, self.batch_size)
        return batches[_permutation(_WINDOW, self.seed, window)]


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
    check_examples(examples, batch_size, buckets)
    longest = examples.lengths
    order = np.argsort([-len(row) for row in examples.inputs], kind="stable")
    for start in range(0, len(order), batch_size):
        real = order[start : start + batch_size]
        filled = np.concatenate([real, np.repeat(real[:1], batch_size - len(real))])
        inputs, targets = ([every[at] for at in filled] for every in (examples.inputs, examples.targets))
        batch = pad(inputs, targets, longest, buckets, examples.pad_id, own)
        batch["weights"][(np.arange(batch_size) if own is None else own) >= len(real)] = 0
        yield EvalBatch(batch, np.concatenate([real, np.full(batch_size - len(real), -1)]))


def _permutation(size: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch, from raw random bits, which no release of numpy changes."""
    return np.argsort(np.random.Philox(key=[seed, epoch]).random_raw(size), kind="stable")


def _permutation_of(seed: int, size: int, stream: int, number: int) -> np.ndarray:
    """The same of one of several streams, none of which has the bits of `_permutation`."""
    bits = np.random.Philox(key=[seed, number], counter=[0, 0, stream, 2])
    return np.argsort(bits.random_raw(size), kind="stable")


def pad(
    inputs: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    longest: tuple[int, int],
    buckets: tuple[int, ...],
    pad_id: int,
    own: np.ndarray | None,
) -> Batch:
    """A batch of rows, padded to buckets, and never beyond the longest input and target of all."""
    stacked = _stack(targets, TARGET_BUCKETS, longest[1], pad_id, own)
    padded = {
        "inputs": _stack(inputs, buckets, longest[0], pad_id, own),
        "targets": stacked,
        "weights": (stacked != pad_id).astype(np.float32),
    }
    return cast(Batch, padded)


def _stack(
    rows: Sequence[np.ndarray], buckets: tuple[int, ...], most: int, pad_id: int, own: np.ndarray | None
) -> np.ndarray:
    """Rows padded to the bucket of the longest of them; only the own are made, and padded as all are."""
    longest = max(map(len, rows))
    width = next((bucket for bucket in buckets if bucket >= longest), longest)
    made = rows if own is None else [rows[at] for at in own]
    stacked = np.full((len(made), min(width, most)), pad_id, np.int32)
    for i, row in enumerate(made):
        stacked[i, : len(row)] = row
    return stacked


def check_examples(examples: Examples, batch_size: int, buckets: tuple[int, ...]) -> None:
    """Makes sure that examples can be batched so.

    Raises:
      ConfigError: there are no rows in a batch, or no bucket for the longest input.
    """
    if batch_size < 1:
        raise ConfigError(f"expected a batch size of 1 or more, found {batch_size}.")
    if list(buckets) != sorted(set(buckets)):
        raise ConfigError(f"expected buckets in ascending order, found {buckets}.")
    longest = examples.lengths[0]
    if not buckets or buckets[-1] < longest:
        raise ConfigError(f"expected a bucket for the longest input, {longest} tokens, found {buckets}.")
