"""Likelihoods against teacher-forced logits, one target at a time."""

from pathlib import Path

import fake_devices
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.small import CONFIG, moved, start

from fiat_jax.adapters import LoRA
from fiat_jax.decoding import (
    first_step_log_probabilities,
    first_step_probability,
    label_log_likelihoods,
    log_likelihoods,
)
from fiat_jax.models import T5

ADAPTER = LoRA(rank=2)
MODEL = T5(CONFIG, ADAPTER)
INPUTS = np.array([[5, 9, 17, 1, 0, 0], [7, 7, 30, 41, 22, 1], [60, 1, 0, 0, 0, 0]], np.int32)
LABELS = np.array([[8, 1, 0, 0], [8, 33, 12, 1], [50, 51, 1, 0]], np.int32)


@pytest.fixture(scope="module")
def variables():
    return moved(start(ADAPTER))


def by_hand(variables, inputs, target):
    """The log-likelihood of one target, without its padding, of one row."""
    target = [id for id in target if id != CONFIG.pad_id]
    before = jnp.asarray([[CONFIG.decoder_start_id, *target[:-1]]])
    logits = jax.jit(MODEL.apply)(variables, jnp.asarray(inputs)[None], before)
    return sum(float(jax.nn.log_softmax(logits[0, at])[id]) for at, id in enumerate(target))


def test_a_likelihood_is_that_of_teacher_forced_logits(variables):
    sums, counts = log_likelihoods(MODEL, variables, INPUTS, LABELS)
    expected = [by_hand(variables, *pair) for pair in zip(INPUTS, LABELS, strict=True)]
    np.testing.assert_allclose(sums, expected, rtol=1e-5)
    assert sums.dtype == jnp.float32 and counts.tolist() == [2, 4, 3]


def test_every_label_scores_as_it_does_alone(variables):
    found = label_log_likelihoods(MODEL, variables, INPUTS, LABELS)
    expected = [[by_hand(variables, row, label) for label in LABELS] for row in INPUTS]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_padding_and_neighbours_change_no_score(variables):
    found = label_log_likelihoods(MODEL, variables, INPUTS, LABELS)
    wide = ((0, 0), (0, 5))
    padded = label_log_likelihoods(MODEL, variables, np.pad(INPUTS, wide), np.pad(LABELS, wide))
    alone = label_log_likelihoods(MODEL, variables, INPUTS[1:2], LABELS[:1])
    np.testing.assert_allclose(padded, found, rtol=1e-5)
    np.testing.assert_allclose(alone[0, 0], found[1, 0], rtol=1e-5)


def test_more_labels_need_no_more_memory(variables):
    def temporary(labels):
        few = jax.ShapeDtypeStruct((labels, 4), jnp.int32)
        compiled = label_log_likelihoods.lower(MODEL, variables, INPUTS, few).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    logits = INPUTS.shape[0] * LABELS.shape[1] * CONFIG.vocab_size * 4
    assert temporary(64) - temporary(2) < logits


def test_the_first_step_is_that_of_the_logits(variables):
    ids = np.array([8, 50, 1])
    found = first_step_log_probabilities(MODEL, variables, INPUTS, ids)
    expected = [[by_hand(variables, row, [id]) for id in ids] for row in INPUTS]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_probability_of_true_is_its_share_of_both(variables):
    p = np.exp(first_step_log_probabilities(MODEL, variables, INPUTS, np.array([8, 50])))
    found = first_step_probability(MODEL, variables, INPUTS, 8, 50)
    np.testing.assert_allclose(found, p[:, 0] / (p[:, 0] + p[:, 1]), rtol=1e-5)
    np.testing.assert_allclose(found + first_step_probability(MODEL, variables, INPUTS, 50, 8), 1, rtol=1e-6)


def test_a_probability_where_both_are_most_unlikely_is_still_a_number(variables):
    kernel = variables["params"]["lm_head"]["kernel"] * 1000
    loud = {**variables, "params": {**variables["params"], "lm_head": {"kernel": kernel}}}
    every = np.exp(first_step_log_probabilities(MODEL, loud, INPUTS, np.arange(CONFIG.vocab_size)))
    one, other = np.argsort(every[0])[:2]
    assert every[0, one] == every[0, other] == 0  # their quotient would be 0 / 0
    found = first_step_probability(MODEL, loud, INPUTS, one, other)
    np.testing.assert_allclose(found + first_step_probability(MODEL, loud, INPUTS, other, one), 1, rtol=1e-6)


@pytest.mark.slow
def test_eight_devices_score_as_one_does(tmp_path):
    out = tmp_path / "scores.npz"
    fake_devices.run(Path(__file__).with_name("score_on_mesh.py"), out)
    found = dict(np.load(out))
    for name in ("sums", "labels", "first"):
        np.testing.assert_allclose(found[f"8/{name}"], found[f"1/{name}"], rtol=1e-5, err_msg=name)
