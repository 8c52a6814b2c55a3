"""Batches that teach the answer and, as a second task, the rationale that leads to it (Hsieh et al. 2023).

Nothing is asked of the large model once the batches are made: what is learned answers from the input alone.
"""

import numpy as np

from fiat_jax.data.batches import BUCKETS, TrainBatches, check_examples, pad
from fiat_jax.data.pipeline import Examples
from fiat_jax.data.rates import Mixing
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.typing import Batch


class DistillationBatches(TrainBatches):
    """Batches in which every example stands twice: its label to write, and its rationale.

    The weights of a batch make its weighted mean over all target tokens

        loss = share * mean over label tokens + (1 - share) * mean over rationale tokens

    as 'distilling step-by-step' has it. Rates of the two tasks in a batch would not: a rationale has many
    tokens and a label few, so that a mean over a mixture is nearly the rationales' alone.

    Args:
      labels: the examples with their answers as targets.
      explanations: the same with their rationales as targets; where there is none the label counts alone.
      batch_size: examples a batch, which has twice as many rows.
      seed: of the order.
      label_share: the weight of the labels' loss, 0 to 1.
      buckets, mixing: as in `TrainBatches`.

    Raises:
      ConfigError: the share is none.
      DataError: rationales are of other examples.
    """

    def __init__(
        self,
        labels: Examples,
        explanations: Examples,
        batch_size: int,
        seed: int,
        label_share: float = 0.5,
        buckets: tuple[int, ...] = BUCKETS,
        mixing: Mixing = "proportional",
    ) -> None:
        super().__init__(labels, batch_size, seed, buckets, mixing)
        check_examples(explanations, batch_size, buckets)
        if not 0 <= label_share <= 1:
            raise ConfigError(f"label_share: expected a share from 0 to 1, found {label_share}.")
        if not set(explanations.ids) <= set(labels.ids):
            raise DataError("expected labels and rationales of the same examples, found others.")
        self.read = (labels, explanations)
        self._explained = {id: at for at, id in enumerate(explanations.ids)}
        self.label_share = label_share
        (one, label), (other, explanation) = labels.lengths, explanations.lengths
        self._longest = max(one, other), max(label, explanation)

    def rows_of(self, step: int) -> int:
        """How many rows the batch of a step has."""
        return 2 * self.batch_size

    def tokens(self, step: int) -> int:
        """Tokens that a step reads and learns; padding does not count."""
        pairs = [self._pair(int(row)) for row in self.rows(step)]
        return sum(len(one.inputs[at]) + len(one.targets[at]) for pair in pairs for one, at in pair if one)

    def batch(self, step: int, own: np.ndarray | None = None) -> Batch:
        """The batch of a step: the label of an example, then its rationale, then the next; see the class."""
        inputs, targets, lengths = [], [], []
        for row in self.rows(step):
            for examples, at in self._pair(int(row)):
                # What is not there is filled with the label, which does not count a second time.
                inputs.append((examples or self.examples).inputs[at])
                targets.append((examples or self.examples).targets[at])
                lengths.append(len(targets[-1]) if examples else 0)
        batch = pad(inputs, targets, self._longest, self.buckets, self.examples.pad_id, own)
        of_rows = self._row_weights(np.array(lengths))
        batch["weights"] *= (of_rows if own is None else of_rows[own])[:, None]
        return batch

    def _pair(self, row: int) -> tuple[tuple[Examples, int], tuple[Examples | None, int]]:
        """Where an example's label is, and its rationale; None and the label again for no rationale."""
        labels, explanations = self.read
        at = self._explained.get(labels.ids[row])
        return (labels, row), (None, row) if at is None else (explanations, at)

    def _row_weights(self, lengths: np.ndarray) -> np.ndarray:
        """What each token of a row weighs, float32; the weights of all tokens sum to their number.

        Args:
          lengths: tokens of each target, labels and rationales in turn; 0 for a rationale that is not there.
        """
        sums = lengths.reshape(-1, 2).sum(0)
        shares = np.array([self.label_share, 1 - self.label_share])
        if not sums[1]:
            shares = np.array([1.0, 0.0])
        pair = shares * lengths.sum() / np.maximum(sums, 1)
        return (np.tile(pair, len(lengths) // 2) * (lengths > 0)).astype(np.float32)
