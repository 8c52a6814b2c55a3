"""Labels ranked for every example by a tuned model, and the ranking scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from fiat_jax.data.batches import EVAL_BUCKETS, eval_batches
from fiat_jax.data.labels import encode_labels
from fiat_jax.data.metrics.labels import areas
from fiat_jax.data.metrics.metric import Score
from fiat_jax.data.metrics.places import Places
from fiat_jax.data.pipeline import Examples
from fiat_jax.data.tasks import Task
from fiat_jax.decoding import (
    Rank,
    expected_calibration_error,
    first_step_log_probabilities,
    label_log_likelihoods,
    negative_log_likelihood,
)
from fiat_jax.errors import ConfigError
from fiat_jax.parallel import fetch, own_rows, put_batch
from fiat_jax.study.experiment import Network
from fiat_jax.typing import Variables


@dataclass(frozen=True)
class Ranking:
    """Labels of N examples, in their order.

    Attributes:
      labels: the best of each.
      probabilities: [N, C] of all labels, in the order of `Rank.labels`.
      scores: [N, C], what those are the softmax of, before the temperature.
      rank: how they were ranked.
    """

    labels: list[str]
    probabilities: np.ndarray
    scores: np.ndarray
    rank: Rank

    def fields(self) -> list[dict[str, Any]]:
        """What a line of predictions says of each example: the best probability, and that of every label."""
        return [
            {"score": float(row.max()), "scores": dict(zip(self.rank.labels, map(float, row), strict=True))}
            for row in self.probabilities
        ]

    def metrics(self, right: np.ndarray, places: Places) -> dict[str, float]:
        """Scores of the ranking: of all labels; and of two, of each as the one that is looked for.

        Args:
          right: [N] int, as `right_labels` gives them.
          places: of the examples. What is of two labels stands by place, with 95 % intervals of the areas.
        """
        temperature = 1.0 if self.rank.temperature is None else self.rank.temperature
        flat = {
            "label_accuracy": float((self.scores.argmax(axis=-1) == right).mean()),
            "nll": negative_log_likelihood(self.scores, right, temperature),
            "ece": expected_calibration_error(self.probabilities, right),
            "temperature": temperature,
        }
        return flat | (self._of_two(right, places) if len(self.rank.labels) == 2 else {})

    def _of_two(self, right: np.ndarray, places: Places) -> dict[str, float]:
        one, other = self.rank.labels
        margin = self.scores[:, 1] - self.scores[:, 0]  # probabilities near 1 would tie
        ranked = {
            language: _areas_of_two(margin[rows], right[rows] == 1) for language, rows in places.rows.items()
        }
        shares = {language: _share(right[rows] == 1) for language, rows in places.rows.items()}
        names = [f"auc_pr_{one}", f"auc_pr_{other}", "roc_auc"]
        return (
            places.scores(names, ranked)
            | places.scores([f"prevalence_{one}", f"prevalence_{other}"], shares)
            | places.intervals(names, ranked)
        )


def _areas_of_two(margin: np.ndarray, second: np.ndarray) -> Score:
    """AUC-PR of the first label and of the second, and the ROC-AUC, which is the same of both."""
    of_first, of_second = areas(-margin, ~second), areas(margin, second)

    def score(counts: np.ndarray) -> tuple[float, float, float]:
        area, roc = of_second(counts)
        return of_first(counts)[0], area, roc

    return score


def _share(second: np.ndarray) -> Score:
    """The shares of the first label and of the second."""

    def score(counts: np.ndarray) -> tuple[float, float]:
        share = counts @ second / counts.sum()
        return 1 - share, share

    return score


def rank_examples(
    network: Network, weights: Variables, examples: Examples, task: Task, batch_size: int, rank: Rank
) -> Ranking:
    """Ranks the labels for every example once; each process gets all.

    Args:
      network: the model and its mesh.
      weights: for `network.answering`, as `Network.merged` gives them.
      examples: tokenised inputs; their targets are not looked at.
      task: its vocabulary and the most tokens of a label.
      batch_size: rows at a time; changes no label.
      rank: which labels, and how; `calibrating.calibrated` gives it a run's temperature.

    Raises:
      ConfigError: labels that are ranked by their first token share one.
      ConfigError, DataError: as `encode_labels`.
    """
    ids = encode_labels(task, rank.labels)
    _check_firsts(rank, ids)
    score, labels, lengths = label_log_likelihoods, _stacked(ids, examples.pad_id), np.array([*map(len, ids)])
    if rank.first_token:
        score, labels, lengths = first_step_log_probabilities, labels[:, 0], np.ones_like(lengths)
    model = network.answering
    found = np.zeros((len(examples), len(ids)))
    own = own_rows(batch_size, network.mesh)
    with jax.set_mesh(network.mesh):
        for batch, rows in eval_batches(examples, batch_size, task.buckets or EVAL_BUCKETS, own):
            inputs = put_batch(batch["inputs"], network.mesh)
            real = rows >= 0
            found[rows[real]] = fetch(score(model, weights, inputs, labels))[real]
    scores = rank.scores(found, lengths)
    best = [rank.labels[at] for at in scores.argmax(axis=-1)]
    return Ranking(best, rank.probabilities(scores), scores, rank)


def _check_firsts(rank: Rank, every: Sequence[Sequence[int]]) -> None:
    """Makes sure that labels which are ranked by their first token differ in it."""
    by_first: dict[int, str] = {}
    for label, ids in zip(rank.labels, every, strict=True):
        other = by_first.setdefault(ids[0], label)
        if rank.first_token and other != label:
            raise ConfigError(
                f"Rank.first_token: expected labels that differ in their first token, found {other!r} and "
                f"{label!r}; name one of them otherwise, or rank by whole labels."
            )


def _stacked(every: Sequence[Sequence[int]], pad_id: int) -> np.ndarray:
    """Rows of ids, padded to the longest."""
    stacked = np.full((len(every), max(map(len, every))), pad_id, np.int32)
    for row, ids in zip(stacked, every, strict=True):
        row[: len(ids)] = ids
    return stacked
