"""LoRA's mathematics, its targets, and the tree that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.traverse_util import flatten_dict

from fiat_jax.adapters import LoRA, check_targets, lora_delta, lora_projection, merge, target_table
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5, T5Config

CONFIG = T5Config(
    64, d_model=16, d_kv=4, d_ff=24, num_heads=2, num_encoder_layers=2, num_decoder_layers=1, dtype="float32"
)
TOKENS = jnp.arange(2, 14).reshape(2, 6)


def start(adapter, seed=0):
    """Variables of a small model whose adapter is not at its start, where it changes nothing."""
    key = jax.random.key(seed)
    init = jax.jit(T5(CONFIG, adapter).init)
    variables = nn.unbox(init({"params": key, "adapter": key}, TOKENS, TOKENS))
    leaves, tree = jax.tree.flatten(variables["adapter"])
    keys = jax.random.split(key, len(leaves))
    moved = [leaf + 0.2 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    return variables, {**variables, "adapter": jax.tree.unflatten(tree, moved)}


def logits(variables, adapter=None):
    return jax.jit(T5(CONFIG, adapter).apply)(variables, TOKENS, TOKENS)


def test_a_new_adapter_changes_nothing():
    adapter = LoRA(rank=4)
    fresh, _ = start(adapter)
    with_adapter = logits(fresh, adapter)
    without = logits({"params": fresh["params"]})
    np.testing.assert_allclose(with_adapter, without, rtol=1e-5, atol=1e-5)


def test_merged_weights_give_the_logits_of_base_and_adapter():
    adapter = LoRA(rank=4, alpha=8.0)
    _, variables = start(adapter)
    apart = logits(variables, adapter)
    merged = merge(variables["params"], variables["adapter"], adapter.scale)
    together = logits({"params": merged})
    assert float(jnp.abs(apart - together).max() / jnp.abs(apart).max()) < 1e-4
    assert not np.allclose(together, logits({"params": variables["params"]}))


def test_the_fused_projection_has_the_values_and_gradients_of_the_formula():
    keys = jax.random.split(jax.random.key(0), 5)
    shapes = [(3, 5, 8), (8, 12), (8, 2), (2, 12), (3, 5, 12)]
    x, kernel, a, b, weight = (jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True))

    def formula(*args):
        x, kernel, a, b = args
        return jnp.sum(weight * (x @ kernel + lora_delta(x, a, b, 0.5)))

    def fused(*args):
        return jnp.sum(weight * lora_projection(*args, 0.5))

    every = (0, 1, 2, 3)
    expected, found = (jax.value_and_grad(f, every)(x, kernel, a, b) for f in (formula, fused))
    jax.tree.map(lambda e, f: np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-4), expected, found)


def test_only_the_projections_that_a_pattern_matches_learn():
    adapter = LoRA(rank=2, targets=("encoder/.*/(query|value)", ".*/mlp/wo"))
    fresh, _ = start(adapter)
    shapes = {path: leaf.shape for path, leaf in flatten_dict(fresh["adapter"], sep="/").items()}
    assert shapes == {
        "encoder/layers/self_attention/query/lora/a": (2, 16, 2),
        "encoder/layers/self_attention/query/lora/b": (2, 2, 8),
        "encoder/layers/self_attention/value/lora/a": (2, 16, 2),
        "encoder/layers/self_attention/value/lora/b": (2, 2, 8),
        "encoder/layers/mlp/wo/lora/a": (2, 24, 2),
        "encoder/layers/mlp/wo/lora/b": (2, 2, 16),
        "decoder/layers/mlp/wo/lora/a": (1, 24, 2),
        "decoder/layers/mlp/wo/lora/b": (1, 2, 16),
    }


def test_the_default_adapts_every_linear_layer_of_every_block():
    fresh, _ = start(LoRA(rank=2))
    kernels = {p[:-1] for p in flatten_dict(fresh["params"]) if p[-1] == "kernel" and "layers" in p}
    adapted = {p[:-2] for p in flatten_dict(fresh["adapter"])}
    assert adapted == kernels and len(kernels) == 6 + 1 + 10 + 1


@pytest.mark.parametrize("setting", [{"rank": 0}, {"dropout": 1.0}, {"targets": ()}, {"targets": ("(",)}])
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigError, match="LoRA"):
        LoRA(**setting)


def test_a_pattern_that_matches_nothing_is_an_error_that_shows_the_paths():
    with pytest.raises(ConfigError, match=r"'.*/q' matches none.*encoder/layers/self_attention/query"):
        check_targets((".*/query", ".*/q"), ["encoder/layers/self_attention/query"])


def test_the_table_shows_what_matched_and_the_trainable_share():
    table = target_table({"encoder/layers/mlp/wo": (8, 24, 16)}, trainable=50, frozen=950)
    assert "encoder/layers/mlp/wo  8 x 24 x 16" in table
    assert table.endswith("50 trainable of 1,000 parameters (5.00 %)")
