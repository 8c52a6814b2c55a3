"""The network against itself computed in other ways; tests/golden holds it to transformers."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from fiat_jax.adapters import LoRA
from fiat_jax.checkpoints import Base
from fiat_jax.decoding import generate
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5, Step, laid_out
from fiat_jax.models.layout import TurnedInt8
from fiat_jax.models.likelihood import shift_right
from fiat_jax.training import cross_entropy

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module", params=["tiny_gated", "tiny_relu", "tiny_umt5"])
def golden(request):
    folder = GOLDEN / request.param
    pretrained = Base(str(folder), dtype="float32").open()
    variables = {"params": jax.tree.map(jnp.asarray, pretrained.params())}
    return pretrained.config, variables, dict(np.load(folder / "expected.npz"))


one_by_default = pytest.mark.parametrize(
    "golden",
    ["tiny_gated", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tiny_relu", "tiny_umt5"))],
    indirect=True,
)


def logits_of(config, variables, inputs, targets):
    return jax.jit(T5(config).apply)(variables, inputs, shift_right(targets, config.decoder_start_id))


def test_bfloat16_stays_near_transformers_float32(golden):
    config, variables, expected = golden
    targets = expected["targets"]
    logits = logits_of(replace(config, dtype="bfloat16"), variables, expected["inputs"], targets)
    counted = targets != config.pad_id
    sampled = np.asarray(logits)[..., :: logits.shape[-1] // expected["logits"].shape[-1]]
    error = np.abs(sampled - expected["logits"])[counted].max() / np.abs(expected["logits"][counted]).max()
    assert error < 3e-2
    sums = cross_entropy(logits, targets, counted.astype(np.float32))
    assert float(sums.loss / sums.weight) == pytest.approx(float(expected["loss"]), rel=1e-2)


@pytest.mark.parametrize("at_once", [1, 3])
def test_some_tokens_at_a_time_give_the_logits_of_all_at_once(golden, at_once):
    config, variables, expected = golden
    inputs, targets = expected["inputs"], jnp.asarray(expected["targets"][:, :6])
    tokens = shift_right(targets, config.decoder_start_id)
    together = jax.jit(T5(config).apply)(variables, inputs, tokens)
    model, variables = laid_out(T5(config), variables)
    apply = partial(model.apply, variables)
    mask, encoded = apply(inputs, method="source_mask"), jax.jit(partial(apply, method="encode"))(inputs)
    cache = jax.jit(partial(apply, slots=6, method="start"))(encoded)
    decode_step = jax.jit(partial(apply, method="decode_step"))
    for first in range(0, 6, at_once):
        distance = first + jnp.arange(at_once)[:, None] - jnp.arange(6)
        step = Step(jnp.int32(first), distance, (distance >= 0)[None])
        logits, cache = decode_step(tokens[:, first : first + at_once], cache, step, mask)
        np.testing.assert_allclose(logits, together[:, first : first + at_once], rtol=1e-4, atol=1e-4)


def test_weights_laid_out_for_decoding_give_the_same_logits_all_at_once(golden):
    config, variables, expected = golden
    tokens = shift_right(jnp.asarray(expected["targets"]), config.decoder_start_id)
    model, changed = laid_out(T5(config), variables)
    logits = jax.jit(model.apply)(changed, expected["inputs"], tokens)
    expected = jax.jit(T5(config).apply)(variables, expected["inputs"], tokens)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_weights_in_int8_give_nearly_the_same_logits_whatever_a_row_stands_beside(golden):
    config, variables, expected = golden
    inputs, tokens = (
        expected["inputs"],
        shift_right(jnp.asarray(expected["targets"]), config.decoder_start_id),
    )
    exact = jax.jit(T5(config).apply)(variables, inputs, tokens)
    model, changed = laid_out(T5(replace(config, answer_in_int8=True)), variables)
    kernels = [x for path, x in flatten_dict(changed["params"], sep="/").items() if path.endswith("kernel")]
    assert {type(kernel) for kernel in kernels} == {TurnedInt8}
    logits = jax.jit(model.apply)(changed, inputs, tokens)
    assert 0 < np.linalg.norm(logits - exact) / np.linalg.norm(exact) < 0.05
    alone = jax.jit(model.apply)(changed, inputs[1:2], tokens[1:2])
    np.testing.assert_allclose(alone[0], logits[1], rtol=1e-3, atol=1e-3)


def test_a_product_in_int8_is_the_exact_sum_of_what_was_rounded(golden):
    config, variables, _ = golden
    place = "cross_attention/query/kernel"
    _, changed = laid_out(T5(replace(config, answer_in_int8=True)), variables)
    stored = flatten_dict(changed["params"]["decoder"]["layers_0"], sep="/")[place]
    kernel = np.asarray(flatten_dict(variables["params"]["decoder"]["layers"], sep="/")[place][0])
    x = np.random.default_rng(0).normal(size=(70, config.d_model)).astype(np.float32)
    steps = [np.abs(a).max(axis=axis, keepdims=True) / 127 for a, axis in ((x, 1), (kernel, 0))]
    rounded = [np.round(a / step) for a, step in zip((x, kernel), steps, strict=True)]
    expected = rounded[0] @ rounded[1] * steps[0] * steps[1]
    for rows in (3, 70):
        np.testing.assert_allclose(
            stored.multiply(jnp.asarray(x[:rows])), expected[:rows], rtol=1e-4, atol=1e-6
        )


def test_int8_is_refused_beside_an_adapter_that_is_not_merged_and_on_a_quantised_base(golden):
    config, variables, _ = golden
    config = replace(config, answer_in_int8=True)
    with pytest.raises(ConfigError, match=r"answer_in_int8: expected .* found an adapter beside them; "):
        laid_out(T5(config, LoRA(rank=2)), variables)
    with pytest.raises(ConfigError, match=r"answer_in_int8: expected .* found a base in nf4; "):
        laid_out(T5(replace(config, quantise="nf4")), variables)


def test_padding_and_neighbours_change_nothing(golden):
    config, variables, expected = golden
    inputs, targets = expected["inputs"], expected["targets"]
    together = logits_of(config, variables, inputs, targets)
    alone = logits_of(config, variables, np.pad(inputs[1:2], ((0, 0), (0, 40))), targets[1:2])
    np.testing.assert_allclose(alone[0], together[1], rtol=1e-4, atol=1e-4)


@one_by_default
@pytest.mark.parametrize("remat", ["dots", "attention", "full"])
def test_remat_changes_no_gradient(golden, remat):
    config, variables, expected = golden
    inputs, targets = expected["inputs"][:, :32], expected["targets"][:, :8]

    def gradient(config):
        return jax.jit(jax.grad(lambda v: T5(config).apply(v, inputs, targets).mean()))(variables)

    same = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(same, gradient(config), gradient(replace(config, remat=remat)))


def test_a_row_of_padding_is_done_before_it_starts(golden):
    config, variables, expected = golden
    rows = np.concatenate([expected["inputs"][:1], np.zeros_like(expected["inputs"][:1])])
    answers = np.asarray(generate(T5(config), variables, rows, 8))
    assert not answers[1].any()
    np.testing.assert_array_equal(answers[0], expected["greedy"][0, :8])


@one_by_default
def test_dropout_needs_training(golden):
    config, variables, expected = golden
    inputs, targets = expected["inputs"][:, :16], expected["targets"][:, :4]
    model = T5(replace(config, dropout=0.5), train=True)

    @jax.jit
    def draw(seed):
        return model.apply(variables, inputs, targets, rngs={"dropout": jax.random.key(seed)})

    assert np.array_equal(draw(0), draw(0))
    assert not np.allclose(draw(0), draw(1))
    assert not np.allclose(draw(0), logits_of(config, variables, inputs, targets))


def test_no_bias_of_every_query_and_key_lies_in_memory_from_layer_to_layer(golden):
    config = replace(golden[0], dtype="bfloat16", num_encoder_layers=4)
    model, tokens, few = T5(config), jax.ShapeDtypeStruct((1, 700), jnp.int32), jnp.ones((1, 1), jnp.int32)
    variables = nn.unbox(jax.eval_shape(model.init, jax.random.key(0), few, few))
    program = jax.jit(partial(model.apply, method="encode")).lower(variables, tokens).compile().as_text()
    loops = [line for line in program.splitlines() if " while(" in line]
    assert any(",700," in line for line in loops)
    assert not any(f"{config.num_heads},700,700]" in line for line in loops)
