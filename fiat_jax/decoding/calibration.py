"""Probabilities that mean what they say: a temperature fitted on held-out examples, and how far off they are.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks (arXiv 1706.04599), sections 2 and 4.2.
"""

import numpy as np

TEMPERATURES = (0.01, 100.0)
"""Between these a temperature is looked for."""

_HALVINGS = 60


def softmax(scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities [N, C] of scores [N, C] over a temperature, float64."""
    return np.exp(_log_softmax(scores, temperature))


def negative_log_likelihood(scores: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """The mean over examples of -log p of the right label, in nats.

    Args:
      scores: [N, C]; the softmax of them over the temperature are the probabilities.
      labels: [N] int, the right ones.
      temperature: more than 0.
    """
    return float(-_log_softmax(scores, temperature)[np.arange(len(labels)), labels].mean())


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the least negative log-likelihood.

    That is convex in the inverse of the temperature, and its derivative there is the mean, over the examples,
    of the score that is expected less that of the right label; so halving an interval finds where it is 0.

    Args:
      scores: [N, C].
      labels: [N] int, the right ones.

    Returns:
      A number within `TEMPERATURES`; an end of them where there is no minimum between, as where every example
      is ranked right and the likelihood only grows with the scores.
    """
    right = scores[np.arange(len(labels)), labels]
    low, high = np.log(TEMPERATURES)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = np.sum(softmax(scores, np.exp(middle)) * scores, axis=-1)
        low, high = (middle, high) if np.mean(expected - right) > 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """How far confidence lies from accuracy: the mean gap of the bins of like confidence, by their examples.

    Args:
      probabilities: [N, C]; the largest of a row is its confidence, and the label that it predicts.
      labels: [N] int, the right ones.
      bins: of equal width from 0 to 1, their upper ends included.

    Returns:
      0 to 1.
    """
    confidence = probabilities.max(axis=-1)
    right = probabilities.argmax(axis=-1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def _log_softmax(scores: np.ndarray, temperature: float) -> np.ndarray:
    scaled = np.asarray(scores, np.float64) / temperature
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
