"""LoRA's mathematics, its ranks and scales, and the tree that it learns."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.small import start
from flax.traverse_util import flatten_dict

from fiat_jax.adapters import LoRA
from fiat_jax.adapters.lora import lora_delta, lora_projection
from fiat_jax.errors import ConfigError


def shapes(adapter):
    return {path: leaf.shape for path, leaf in flatten_dict(start(adapter)["adapter"], sep="/").items()}


def test_the_fused_projection_has_the_values_and_gradients_of_the_formula():
    keys = jax.random.split(jax.random.key(0), 5)
    sizes = [(3, 5, 8), (8, 12), (8, 2), (2, 12), (3, 5, 12)]
    x, kernel, a, b, weight = (jax.random.normal(k, s) for k, s in zip(keys, sizes, strict=True))

    def formula(*args):
        x, kernel, a, b = args
        return jnp.sum(weight * (x @ kernel + lora_delta(x, a, b, 0.5)))

    def fused(*args):
        return jnp.sum(weight * lora_projection(*args, 0.5))

    every = (0, 1, 2, 3)
    expected, found = (jax.value_and_grad(f, every)(x, kernel, a, b) for f in (formula, fused))
    jax.tree.map(lambda e, f: np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-4), expected, found)


def test_only_the_projections_that_a_pattern_matches_learn():
    assert shapes(LoRA(rank=2, targets=("encoder/.*/(query|value)", ".*/mlp/wo"))) == {
        "encoder/layers/self_attention/query/lora/a": (2, 16, 2),
        "encoder/layers/self_attention/query/lora/b": (2, 2, 8),
        "encoder/layers/self_attention/value/lora/a": (2, 16, 2),
        "encoder/layers/self_attention/value/lora/b": (2, 2, 8),
        "encoder/layers/mlp/wo/lora/a": (2, 24, 2),
        "encoder/layers/mlp/wo/lora/b": (2, 2, 16),
        "decoder/layers/mlp/wo/lora/a": (1, 24, 2),
        "decoder/layers/mlp/wo/lora/b": (1, 2, 16),
    }


def test_a_rank_may_differ_where_a_pattern_says_so():
    found = shapes(LoRA(rank=2, targets=(".*/wo",), ranks=(("decoder/.*", 5),)))
    assert found["encoder/layers/mlp/wo/lora/a"] == (2, 24, 2)
    assert found["decoder/layers/mlp/wo/lora/a"] == (1, 24, 5)


def test_the_default_adapts_every_linear_layer_of_every_block():
    fresh = start(LoRA(rank=2))
    kernels = {p[:-1] for p in flatten_dict(fresh["params"]) if p[-1] == "kernel" and "layers" in p}
    adapted = {p[:-2] for p in flatten_dict(fresh["adapter"])}
    assert adapted == kernels and len(kernels) == 6 + 1 + 10 + 1


@pytest.mark.parametrize(
    ("stabilised", "scales"), [(False, (2.0, 0.5, 4.0)), (True, (8 / math.sqrt(4), 8 / 4, 16 / 2))]
)
def test_the_scale_is_alpha_over_the_rank_or_its_root(stabilised, scales):
    adapter = LoRA(rank=4, alpha=8.0, rank_stabilised=stabilised, ranks=(("b", 16),), alphas=(("c", 16.0),))
    assert tuple(adapter.scale(path) for path in "abc") == pytest.approx(scales)


@pytest.mark.parametrize(
    "setting",
    [
        {"rank": 0},
        {"dropout": 1.0},
        {"targets": ()},
        {"targets": ("(",)},
        {"ranks": ((".*", 0),)},
        {"alphas": (("(", 2.0),)},
    ],
)
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigError, match="LoRA"):
        LoRA(**setting)
