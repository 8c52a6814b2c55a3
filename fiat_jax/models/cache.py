"""What the decoder remembers between steps."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fiat_jax.models.axes import CACHE, constrain
from fiat_jax.models.config import T5Config
from fiat_jax.typing import Array


class KeysValues(NamedTuple):
    """Keys and values of one attention, stacked over layers: [L, B, positions, N, H] each."""

    key: Array
    value: Array


class Cache(NamedTuple):
    """The decoder's memory: its own past, and the encoded input projected once.

    `cross` is None before the first step, which fills it.
    """

    own: KeysValues
    cross: KeysValues | None = None


def empty_cache(config: T5Config, batch: int, length: int) -> Cache:
    """A cache for `length` decoding steps of a batch, before the first of them."""
    shape = (config.num_decoder_layers, batch, length, config.num_heads, config.d_kv)
    zeros = constrain(jnp.zeros(shape, jnp.dtype(config.dtype)), CACHE)
    return Cache(KeysValues(zeros, zeros))


def write(past: KeysValues, new: KeysValues, position: Array) -> KeysValues:
    """Puts one step's keys and values [B, 1, N, H] into one layer's past [B, T, N, H]."""
    return KeysValues(
        *(
            jax.lax.dynamic_update_slice_in_dim(old, row, position, axis=1)
            for old, row in zip(past, new, strict=True)
        )
    )
