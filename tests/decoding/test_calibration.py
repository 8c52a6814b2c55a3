"""Ranks and calibration against what is known of made-up examples."""

import numpy as np
import pytest

from fiat_jax.decoding import (
    Rank,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    softmax,
)
from fiat_jax.errors import ConfigError


def drawn(temperature, examples=20_000):
    """Scores, and labels that are drawn from their softmax at a temperature."""
    random = np.random.default_rng(0)
    scores = random.normal(scale=2.0, size=(examples, 4))
    chances = np.cumsum(softmax(scores, temperature), axis=-1)
    return scores, (random.random((examples, 1)) > chances).sum(axis=-1).clip(max=3)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature):
    scores, labels = drawn(temperature)
    found = fit_temperature(scores, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    best = negative_log_likelihood(scores, labels, found)
    assert all(best < negative_log_likelihood(scores, labels, found * factor) for factor in (0.95, 1.05))
    assert expected_calibration_error(softmax(scores, found), labels) < 0.015


def test_labels_that_are_all_ranked_right_or_all_wrong_lead_to_an_end_of_the_range():
    scores = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert fit_temperature(scores, np.array([0, 1])) == pytest.approx(0.01)
    assert fit_temperature(scores, np.array([1, 0])) == pytest.approx(100.0)


def test_the_negative_log_likelihood_is_the_mean_of_the_right_labels():
    scores = np.log([[0.7, 0.3], [0.2, 0.8]])
    assert negative_log_likelihood(scores, np.array([0, 0])) == pytest.approx(-np.log(0.7 * 0.2) / 2)
    assert negative_log_likelihood(np.array([[0.0, -1e5]]), np.array([1])) == pytest.approx(1e5)


def test_the_calibration_error_is_the_gap_of_each_bin_by_its_share():
    probabilities = np.array([[0.9, 0.1], [0.08, 0.92], [0.55, 0.45], [1.0, 0.0]])
    labels = np.array([0, 0, 0, 0])
    # Tenths: 0.9 ends the bin that begins above 0.8; 0.92 (wrong) and 1.0 share the last one.
    by_hand = (abs(1 - 0.9) + abs(1 - 0.92 - 1.0) + abs(1 - 0.55)) / 4
    assert expected_calibration_error(probabilities, labels, bins=10) == pytest.approx(by_hand)
    assert expected_calibration_error(np.array([[0.5, 0.5]] * 2), np.array([0, 1])) == 0


def test_scores_are_sums_over_a_power_of_the_length():
    sums, lengths = np.array([[-6.0, -4.0]]), np.array([3, 1])
    labels = ("long one", "short")
    assert Rank(labels).scores(sums, lengths).tolist() == [[-2.0, -4.0]]
    assert Rank(labels, length_normalisation=0.0).scores(sums, lengths).tolist() == [[-6.0, -4.0]]
    p = Rank(labels, temperature=2.0).probabilities(np.array([[-2.0, -4.0]]))
    np.testing.assert_allclose(p, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))]])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"labels": ("yes",)}, "Rank.labels: expected two texts or more"),
        ({"labels": ("yes", "yes")}, "all different"),
        ({"labels": ("yes", "")}, "none empty"),
        ({"labels": ("yes", "no"), "length_normalisation": -1.0}, "Rank.length_normalisation: .*found -1.0"),
        ({"labels": ("yes", "no"), "temperature": 0.0}, "Rank.temperature: .*found 0.0"),
        ({"labels": ("yes", "no"), "temperature": float("nan")}, "Rank.temperature: .*found nan"),
    ],
)
def test_a_rank_that_cannot_be_is_refused(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Rank(**settings)
