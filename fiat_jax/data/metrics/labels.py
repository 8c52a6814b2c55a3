"""Scores of answers that are labels, and of labels that are ranked."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from fiat_jax.data.metrics.metric import Answers, Metric, Score, mean_of_examples, several


def plain_label(text: str) -> str:
    """A label without what does not tell it from another: case, white space, ways to write a character."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _accuracy(answers: Answers, prediction: str, language: str) -> tuple[float]:
    return (100 * float(plain_label(prediction) in map(plain_label, several(answers))),)


ACCURACY = mean_of_examples({"accuracy": "accuracy"}, _accuracy)
"""The share of predictions that are a good answer, as `plain_label` compares them."""


def _macro_f1(targets: Sequence[Answers], predictions: Sequence[str], language: str) -> Score:
    given, right = [plain_label(one) for one in predictions], []
    for answers, label in zip(targets, given, strict=True):
        good = [plain_label(one) for one in several(answers)]
        right.append(label if label in good else good[0])
    numbers = {label: number for number, label in enumerate(dict.fromkeys(right))}
    size = len(numbers)
    expected = np.array([numbers[label] for label in right])
    found = np.array([numbers.get(label, size) for label in given])
    hits = (expected == found).astype(float)

    def score(counts: np.ndarray) -> tuple[float]:
        wanted, said = (np.bincount(ids, counts, size + 1)[:size] for ids in (expected, found))
        hit = np.bincount(expected, counts * hits, size)
        there = wanted > 0
        return (100 * float(np.mean(2 * hit[there] / (wanted + said)[there])),)

    return score


MACRO_F1 = Metric({"macro_f1": "macro F1"}, _macro_f1)
"""The mean over labels of their F1: the labels that some example has for its answer.

A prediction that is none of them is a miss of its example's label, and no label more. Of several good answers
the one that was given counts, or else the first.
"""


def areas(scores: Sequence[float] | np.ndarray, positives: Sequence[bool] | np.ndarray) -> Score:
    """The areas under the precision-recall curve and under the ROC curve, 0 to 1, of N ranked examples.

    The first is sum over thresholds n of (R_n - R_(n-1)) P_n from the highest score down, the average
    precision, and 0 where nothing is positive. The second is the chance that a positive example ranks above
    another one, ties counting half, and 0.5 where there are not both. Examples of one score come together.

    Args:
      scores: for each example, the higher the surer that it is positive.
      positives: whether it is.

    Source: the definitions of scikit-learn's average_precision_score and roc_auc_score.
    """
    values, known = np.asarray(scores, float), np.asarray(positives, float)
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))  # the last of each score

    def score(counts: np.ndarray) -> tuple[float, float]:
        weights = counts[order]
        seen, hits = np.cumsum(weights)[ends], np.cumsum(weights * known[order])[ends]
        gains, wrong = np.diff(hits, prepend=0.0), np.diff(seen - hits, prepend=0.0)
        positive, negative = hits[-1], seen[-1] - hits[-1]
        precision = gains @ (hits / np.maximum(seen, 1)) / positive if positive else 0.0
        above = wrong @ (hits - gains / 2) / (positive * negative) if positive and negative else 0.5
        return float(precision), float(above)

    return score


def average_precision(scores: Sequence[float], positives: Sequence[bool]) -> float:
    """The first of the `areas`, each example counting once; chance gives the share of positives."""
    return areas(scores, positives)(np.ones(len(scores)))[0]


def roc_auc(scores: Sequence[float], positives: Sequence[bool]) -> float:
    """The second of the `areas`, each example counting once; chance gives 0.5."""
    return areas(scores, positives)(np.ones(len(scores)))[1]
