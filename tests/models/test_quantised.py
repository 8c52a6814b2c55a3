"""Kernels in fewer bits: what they lose, what they take, and that no pass keeps them as floats."""

from dataclasses import replace
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.small import TOKENS, moved, start, worst
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat_jax.adapters import DoRA, LoRA, merge
from fiat_jax.adapters.lora import lora_projection
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5, T5Config
from fiat_jax.models.quantised import (
    BLOCK,
    CODEBOOK,
    boxed,
    dequantised,
    is_quantised,
    quantise,
    with_kernel,
)

# Dettmers et al. 2023, appendix E.
PUBLISHED = """-1.0 -0.6961928009986877 -0.5250730514526367 -0.39491748809814453 -0.28444138169288635
-0.18477343022823334 -0.09105003625154495 0.0 0.07958029955625534 0.16093020141124725 0.24611230194568634
0.33791524171829224 0.44070982933044434 0.5626170039176941 0.7229568362236023 1.0"""

LAYERS, WIDTH = 8, 256
STORED = pytest.mark.parametrize("how", ["int8", "nf4"])
store = jax.jit(quantise, static_argnums=1)
restore = jax.jit(lambda stored, dtype: stored.astype(dtype), static_argnums=1)


@st.composite
def kernels(draw, decades=3.0):
    """Kernels of 2 layers, 3 blocks and 90 outputs, so that the second group of scales is not full."""
    seed, spread = draw(st.integers(0, 2**32 - 1)), draw(st.floats(0.0, decades))
    random = np.random.default_rng(seed)
    kernel = random.standard_normal((2, 3 * BLOCK, 90)) * 10.0 ** random.uniform(-spread, spread, (2, 1, 90))
    kernel[:, :, draw(st.integers(0, 89))] = draw(st.sampled_from([0.0, 1.0, -1e-3]))
    return kernel.astype(np.float32)


every_kernel = settings(max_examples=25, deadline=None)


def test_the_code_book_is_the_published_one():
    np.testing.assert_allclose(CODEBOOK, np.float32(PUBLISHED.split()), atol=5e-7)


@every_kernel
@given(kernels())
def test_int8_is_within_half_a_step_of_every_weight(kernel):
    stored = store(kernel, "int8")
    error = np.abs(restore(stored, jnp.float32) - kernel)
    assert np.all(error <= np.asarray(stored.scale)[:, None, :] * 0.5001)


@every_kernel
@given(kernels())
def test_nf4_is_within_half_the_widest_gap_and_what_its_scale_lost(kernel):
    stored = store(kernel, "nf4")
    gap = np.diff(CODEBOOK).max() / 2
    largest = np.abs(kernel).reshape(2, 3, BLOCK, 90).max(axis=2)
    scale, lost = np.asarray(stored.scale), np.asarray(stored.step).max(axis=-1)[:, None, None] / 2
    assert np.all(scale >= 0) and np.all(np.abs(scale - largest) <= lost * 1.0001 + 1e-6 * largest)
    error = np.abs(restore(stored, jnp.float32) - kernel).reshape(2, 3, BLOCK, 90).max(axis=2)
    assert np.all(error <= gap * scale + np.maximum(largest - scale, 0) + 1e-6 * largest)


@STORED
@every_kernel
@given(kernels(decades=0.5))
def test_what_was_quantised_once_is_quantised_to_itself(how, kernel):
    once = restore(store(kernel, how), jnp.float32)
    np.testing.assert_allclose(restore(store(once, how), jnp.float32), once, rtol=2e-6, atol=0)


@pytest.mark.parametrize(("how", "bits", "loss"), [("int8", 8.1, 0.008), ("nf4", 4.14, 0.095)])
def test_normal_weights_take_and_lose_what_they_should(how, bits, loss):
    kernel = np.random.default_rng(0).standard_normal((512, 384)).astype(np.float32)
    stored = store(kernel, how)
    assert stored.shape == kernel.shape and stored.size == kernel.size and is_quantised(stored)
    assert 8 * sum(leaf.nbytes for leaf in jax.tree.leaves(stored)) / kernel.size < bits
    assert np.sqrt(np.mean((restore(stored, jnp.float32) - kernel) ** 2)) < loss
    assert restore(stored, jnp.bfloat16).dtype == jnp.bfloat16


@STORED
def test_a_layer_alone_is_stored_as_it_is_among_others(how):
    kernel = np.random.default_rng(0).standard_normal((2, 2 * BLOCK, 90)).astype(np.float32)
    together = store(kernel, how)
    jax.tree.map(np.testing.assert_array_equal, store(kernel[1], how), jax.tree.map(lambda x: x[1], together))


def test_nf4_of_a_broken_block_is_refused_with_the_remedy():
    with pytest.raises(ConfigError, match=r"multiple of 64.*96 x 8; use int8"):
        quantise(jnp.zeros((96, 8)), "nf4")


@STORED
def test_every_array_names_its_axes(how):
    named = boxed(quantise(jnp.ones((BLOCK, 8)), how), ("embed", "mlp"))
    for leaf in jax.tree.leaves(named, is_leaf=lambda x: isinstance(x, nn.LogicallyPartitioned)):
        assert len(leaf.names) == leaf.value.ndim
    assert named.values.names == ("embed", "mlp") if how == "int8" else named.levels.names == (None, "mlp")


class Layer(nn.Module):
    """A residual layer on a stored kernel, read with a derivative of its own and with the usual one."""

    how: str
    remade: bool

    @nn.compact
    def __call__(self, x, _):
        def init(key, shape):
            return boxed(quantise(nn.initializers.normal(0.02)(key, shape), self.how), ("embed", "mlp"))

        def project(kernel, x, a, b):
            return lora_projection(x, kernel, a, b, 1.0) + x @ kernel

        kernel = self.param("kernel", init, (WIDTH, WIDTH))
        a = self.variable("adapter", "a", lambda: jnp.ones((WIDTH, 4))).value
        b = self.variable("adapter", "b", lambda: jnp.ones((4, WIDTH))).value
        if self.remade:
            return x + jnp.tanh(with_kernel(project, kernel, ("embed", "mlp"), x, a, b)), None
        return x + jnp.tanh(project(kernel.astype(x.dtype), x, a, b)), None


def gradient_of(how, remat, remade=True):
    """The gradient of a scanned stack by its adapter, compiled; and what it takes."""
    layer = Layer
    if remat != "none":
        policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable if remat == "dots" else None
        layer = nn.remat(layer, policy=policy, prevent_cse=False)
    stack = nn.scan(
        layer, variable_axes={"params": 0, "adapter": 0}, split_rngs={"params": True}, length=LAYERS,
        metadata_params={nn.PARTITION_NAME: "layers"},
    )(how, remade)  # fmt: skip
    x = jax.random.normal(jax.random.key(1), (4, WIDTH))
    variables = nn.unbox(jax.jit(stack.init)(jax.random.key(0), x, None))

    def loss(adapter, params):
        return jnp.sum(stack.apply({"params": params, "adapter": adapter}, x, None)[0] ** 2)

    arguments = variables["adapter"], variables["params"]
    return jax.jit(jax.grad(loss)).lower(*arguments).compile(), arguments


@STORED
@pytest.mark.parametrize("remat", ["none", "dots", "full"])
def test_a_backward_pass_keeps_no_float_kernel_of_any_layer(how, remat):
    compiled, arguments = gradient_of(how, remat)
    layer = 4 * WIDTH**2
    memory = compiled.memory_analysis()
    assert memory.temp_size_in_bytes < LAYERS // 2 * layer
    assert memory.argument_size_in_bytes < 1.1 * sum(leaf.nbytes for leaf in jax.tree.leaves(arguments))


@STORED
def test_kernels_made_twice_give_the_gradients_of_kernels_that_are_kept(how):
    kept, arguments = gradient_of(how, "none", remade=False)
    remade, _ = gradient_of(how, "none")
    assert kept.memory_analysis().temp_size_in_bytes > 4 * LAYERS * WIDTH**2
    same = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(same, kept(*arguments), remade(*arguments))


@pytest.mark.parametrize(
    ("how", "adapter"),
    [("int8", DoRA(rank=4)), pytest.param("nf4", LoRA(rank=4), marks=pytest.mark.slow)],
)
def test_an_adapter_learns_on_what_is_stored_and_merges_into_its_floats(how, adapter):
    sizes = dict(d_model=64, d_kv=32, d_ff=128, num_heads=2, num_encoder_layers=2, num_decoder_layers=1)
    floats = T5Config(64, **sizes, dtype="float32")
    config = replace(floats, quantise=how)
    fresh = start(adapter, config)
    assert is_quantised(fresh["params"]["encoder"]["layers"]["mlp"]["wo"]["kernel"])
    assert not is_quantised(fresh["params"]["lm_head"]["kernel"])
    base, tuned = dequantised(fresh["params"], jnp.float32), moved(fresh)
    merged = merge(base, tuned["adapter"], adapter)

    stored, plain = (jax.jit(model.apply) for model in (T5(config, adapter), T5(floats)))
    started, beside = (stored(variables, TOKENS, TOKENS) for variables in (fresh, tuned))
    assert worst(started, plain({"params": base}, TOKENS, TOKENS)) < 1e-5
    assert worst(beside, plain({"params": merged}, TOKENS, TOKENS)) < 1e-4
    assert worst(beside, started) > 1e-2
