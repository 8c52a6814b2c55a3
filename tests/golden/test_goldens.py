"""Our T5 answers as the reference implementation does, by the files of this folder.

Set FIAT_REAL_T5 to a folder with the small real T5 to hold it to its goldens too.
"""

import os
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from fiat_jax.checkpoints import huggingface
from fiat_jax.decoding import BeamSearch, generate
from fiat_jax.models import T5
from fiat_jax.models.likelihood import shift_right
from fiat_jax.training.losses import cross_entropy

HERE = Path(__file__).parent
REAL = os.environ.get("FIAT_REAL_T5")
TINY = sorted(folder.parent.name for folder in HERE.glob("tiny_*/config.json"))
FOLDERS = {name: (HERE / name, HERE / name / "expected.npz") for name in TINY}
FOLDERS["real"] = (REAL, HERE / "real_t5.npz")


@pytest.fixture(scope="module", params=[*TINY, pytest.param("real", marks=pytest.mark.slow)])
def case(request):
    folder, expected = FOLDERS[request.param]
    if folder is None:
        pytest.skip("FIAT_REAL_T5 is not set")
    config, params = huggingface.load(folder, dtype="float32")
    return SimpleNamespace(model=T5(config), variables={"params": params}, expected=dict(np.load(expected)))


def worst(found, expected):
    """The largest difference over the largest value; of every n-th feature where fewer are expected."""
    found = np.asarray(found)[..., :: np.shape(found)[-1] // expected.shape[-1]]
    return np.max(np.abs(found - expected)) / np.max(np.abs(expected))


def test_encoder_states_equal_the_reference(case):
    inputs = case.expected["inputs"]
    states = jax.jit(lambda v, x: case.model.apply(v, x, method="encode"))(case.variables, inputs)
    real = (inputs != case.model.config.pad_id)[..., None]
    assert worst(states * real, case.expected["states"] * real) < 1e-4


def test_logits_and_loss_equal_the_reference(case):
    inputs, targets = case.expected["inputs"], case.expected["targets"]
    weights = (targets != case.model.config.pad_id).astype(np.float32)
    decoder_inputs = shift_right(targets, case.model.config.decoder_start_id)
    logits = jax.jit(case.model.apply)(case.variables, inputs, decoder_inputs)
    assert worst(logits * weights[..., None], case.expected["logits"] * weights[..., None]) < 1e-4
    sums = cross_entropy(logits, targets, weights)
    np.testing.assert_allclose(sums.loss / sums.weight, case.expected["loss"], rtol=1e-4)


def test_greedy_answers_equal_the_reference_token_for_token(case):
    expected = case.expected["greedy"]
    inputs = case.expected.get("greedy_inputs", case.expected["inputs"])
    batches = (inputs[start : start + 10] for start in range(0, len(inputs), 10))
    answers = [generate(case.model, case.variables, batch, expected.shape[1]) for batch in batches]
    np.testing.assert_array_equal(np.concatenate(answers), expected)


def test_the_best_answers_of_beams_equal_the_reference_token_for_token(case):
    if "beams" not in case.expected:
        pytest.skip("the goldens of the real model have none")
    inputs, expected = case.expected["inputs"], case.expected["beams"]
    answers = generate(case.model, case.variables, inputs, expected.shape[1], BeamSearch(4))
    np.testing.assert_array_equal(answers, expected)
