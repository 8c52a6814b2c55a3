"""Every variant of T5 in random sizes, against transformers."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from fiat_jax.checkpoints import huggingface, huggingface_export
from fiat_jax.models import T5
from fiat_jax.models.likelihood import shift_right
from fiat_jax.training.losses import cross_entropy

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.peers

GELU = dict(model_type="t5", feed_forward_proj="gated-gelu")
VARIANTS = {
    "T5 v1.0": (dict(model_type="t5", feed_forward_proj="relu"), True),
    "T5 v1.1, FLAN-T5, ByT5, Aya": (GELU | dict(tie_word_embeddings=False), False),
    "T5 v1.1 as transformers 5 saves it": (
        GELU | dict(tie_word_embeddings=True, scale_decoder_outputs=False),
        False,
    ),
    "scaled with a head of its own": (GELU, False),
    "UL2": (dict(model_type="t5", feed_forward_proj="gated-silu", tie_word_embeddings=False), False),
    "CodeT5": (dict(model_type="t5", feed_forward_proj="relu", bos_token_id=1, eos_token_id=2), True),
    "MADLAD": (GELU | dict(tie_word_embeddings=False, pad_token_id=1, eos_token_id=2), False),
    "mT5": (dict(model_type="mt5", tie_word_embeddings=False), False),
    "mT5 without a head": (dict(model_type="mt5"), True),
    "UMT5": (dict(model_type="umt5", tie_word_embeddings=False), False),
    "UMT5 without a head": (dict(model_type="umt5"), True),
}


def random_sizes(random):
    """Sizes that leave nothing equal: a head is not d_model / heads wide, and stacks differ in depth."""
    return dict(
        vocab_size=int(random.integers(20, 300)),
        d_model=int(random.integers(24, 48)),
        d_kv=int(random.integers(3, 16)),
        d_ff=int(random.integers(8, 60)),
        num_heads=int(random.integers(1, 6)),
        num_layers=int(random.integers(1, 4)),
        num_decoder_layers=int(random.integers(1, 4)),
        relative_attention_num_buckets=int(random.choice([8, 16, 32])),
        relative_attention_max_distance=int(random.choice([20, 128])),
        decoder_start_token_id=0,
    )


@pytest.fixture(params=[0, 1])
def case(request, variant, tmp_path):
    """A random model and a padded batch past relative distance 128, and what transformers makes of them."""
    from torch_t5 import load_torch, run_torch, write_random

    random = np.random.default_rng([request.param, sorted(VARIANTS).index(variant)])
    raw, tied = VARIANTS[variant]
    raw = {"pad_token_id": 0, "eos_token_id": 1} | raw | random_sizes(random)
    write_random(raw, tied, tmp_path, request.param)
    batch = {}
    for name, length in dict(inputs=random.integers(140, 300), targets=random.integers(130, 160)).items():
        batch[name] = random.integers(3, raw["vocab_size"], (2, length))
        batch[name][1, random.integers(1, length) :] = raw["pad_token_id"]
    with torch.no_grad():
        out = run_torch(load_torch(tmp_path), **batch)
    return SimpleNamespace(folder=tmp_path, out=out, **batch)


def ours(case, folder, dtype):
    """Encoder states and logits, 0 where padded, and the mean loss."""
    config, params = huggingface.load(folder, dtype=dtype)
    model, real = T5(config), (case.targets != config.pad_id)

    @jax.jit
    def run(params, inputs, decoder_inputs):
        def both(model):
            states = model.encode(inputs)
            return states, model.decode(decoder_inputs, states, model.source_mask(inputs))

        return model.apply({"params": params}, method=both)

    states, logits = run(params, case.inputs, shift_right(case.targets, config.decoder_start_id))
    sums = cross_entropy(logits, case.targets, real.astype(np.float32))
    found = (np.asarray(states, np.float32), np.asarray(logits), float(sums.loss / sums.weight))
    return SimpleNamespace(states=found[0], logits=found[1], loss=found[2])


def worst(found, expected, real):
    """The largest difference over the largest value, where tokens are real."""
    expected = expected.numpy()[real]
    return np.max(np.abs(found[real] - expected)) / np.max(np.abs(expected))


def assert_close(case, found, tolerance, loss_tolerance):
    padding = huggingface.load_config(case.folder).pad_id
    assert worst(found.states, case.out.encoder_last_hidden_state, case.inputs != padding) < tolerance
    assert worst(found.logits, case.out.logits, case.targets != padding) < tolerance
    assert found.loss == pytest.approx(float(case.out.loss), rel=loss_tolerance)


@pytest.mark.parametrize("variant", VARIANTS)
def test_states_logits_and_loss_equal_transformers_also_after_a_round_trip(case):
    assert_close(case, ours(case, case.folder, "float32"), 1e-4, 1e-4)
    assert_close(case, ours(case, case.folder, "bfloat16"), 3e-2, 1e-2)

    from torch_t5 import load_torch, run_torch

    back = case.folder / "back"
    huggingface_export.write(back, *huggingface.load(case.folder))
    with torch.no_grad():
        out = run_torch(load_torch(back), case.inputs, case.targets)
    assert torch.equal(out.logits, case.out.logits) and torch.equal(out.loss, case.out.loss)
