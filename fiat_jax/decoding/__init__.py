"""How it answers: token ids from inputs; and how likely it finds answers that are given."""

from fiat_jax.decoding.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    softmax,
)
from fiat_jax.decoding.generate import greedy
from fiat_jax.decoding.rank import Rank
from fiat_jax.decoding.score import (
    first_step_log_probabilities,
    first_step_probability,
    label_log_likelihoods,
    log_likelihoods,
)

__all__ = [
    "Rank",
    "expected_calibration_error",
    "first_step_log_probabilities",
    "first_step_probability",
    "fit_temperature",
    "greedy",
    "label_log_likelihoods",
    "log_likelihoods",
    "negative_log_likelihood",
    "softmax",
]
