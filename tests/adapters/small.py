"""A small T5, and adapters on it that have moved from their start."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp

from fiat_jax.models import T5, T5Config

CONFIG = T5Config(
    64, d_model=16, d_kv=4, d_ff=24, num_heads=2, num_encoder_layers=2, num_decoder_layers=1, dtype="float32"
)
TOKENS = jnp.arange(2, 14).reshape(2, 6)


@cache
def start(adapter, config=CONFIG, seed=0):
    """The variables of a small model and its adapter at their start; not to be changed or donated."""
    key = jax.random.key(seed)
    init = jax.jit(T5(config, adapter).init)
    return nn.unbox(init({"params": key, "adapter": key}, TOKENS, TOKENS))


def moved(variables, seed=0):
    """The variables with an adapter that is not at its start."""
    leaves, tree = jax.tree.flatten(variables["adapter"])
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    changed = [leaf + 0.2 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    return {**variables, "adapter": jax.tree.unflatten(tree, changed)}


def logits(variables, adapter=None, config=CONFIG, inputs=TOKENS):
    return _apply(adapter, config)(variables, inputs, TOKENS)


@cache
def _apply(adapter, config):
    return jax.jit(T5(config, adapter).apply)


def worst(found, expected):
    """The largest difference over the largest value."""
    return float(jnp.abs(found - expected).max() / jnp.abs(expected).max())
