"""How it answers: token ids from inputs, by a search of one's choice; and how likely given answers are."""

from fiat_jax.decoding.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    softmax,
)
from fiat_jax.decoding.generate import generate
from fiat_jax.decoding.rank import Rank
from fiat_jax.decoding.score import (
    first_step_log_probabilities,
    first_step_probability,
    label_log_likelihoods,
    log_likelihoods,
)
from fiat_jax.decoding.search import GREEDY, BeamSearch, Greedy, Sample, Search
from fiat_jax.decoding.spans import Spans, spans_of
from fiat_jax.decoding.stream import Answer, Decoder, Request, Take

__all__ = [
    "GREEDY",
    "Answer",
    "BeamSearch",
    "Decoder",
    "Greedy",
    "Rank",
    "Request",
    "Sample",
    "Search",
    "Spans",
    "Take",
    "expected_calibration_error",
    "first_step_log_probabilities",
    "first_step_probability",
    "fit_temperature",
    "generate",
    "label_log_likelihoods",
    "log_likelihoods",
    "negative_log_likelihood",
    "softmax",
    "spans_of",
]
