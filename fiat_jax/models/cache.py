"""What the decoder remembers between steps, laid out as attention reads it.

A step writes its keys and values into slots of the cache, one for each of its queries, and says itself which
slots a query sees and how long ago they were written. So rows that began at different steps can share a
cache, and beams need not be copied.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fiat_jax.models.axes import CACHE, constrain
from fiat_jax.models.config import T5Config
from fiat_jax.typing import Array


class KeysValues(NamedTuple):
    """Keys [B, N, H, K] and values [B, N, K, H] of one attention."""

    key: Array
    value: Array


class LayerCache(NamedTuple):
    """A decoder layer's memory: its own past, and the encoded input projected once."""

    own: KeysValues
    cross: KeysValues


Cache = tuple[LayerCache, ...]
"""A decoder's memory, one item a layer."""


class Step(NamedTuple):
    """Where the queries of a decoding step stand.

    Attributes:
      slot: scalar int32, where the first of them is written; the others follow. Prefixes do not count.
      distance: [Q or 1, M] int32, how long before each query each slot was written, 0 for now.
      seen: [B or 1, Q, M], True where a query may see a slot.
    """

    slot: Array
    distance: Array
    seen: Array


def to_cache(key: Array, value: Array) -> KeysValues:
    """Keys and values [B, K, N, H] as the cache holds them."""
    return KeysValues(
        constrain(jnp.transpose(key, (0, 2, 3, 1)), CACHE), constrain(jnp.swapaxes(value, 1, 2), CACHE)
    )


def empty_slots(config: T5Config, batch: int, slots: int) -> tuple[Array, Array]:
    """Keys and values [B, M, N, H] of nothing."""
    zeros = jnp.zeros((batch, slots, config.num_heads, config.d_kv), config.dtype)
    return zeros, zeros


def write(past: KeysValues, new: KeysValues, slot: Array) -> KeysValues:
    """Puts a step's keys and values into their slots.

    Args:
      past: of M slots.
      new: of Q queries.
      slot: of the first query, the prefix counted.
    """
    update = jax.lax.dynamic_update_slice_in_dim
    return KeysValues(update(past.key, new.key, slot, axis=3), update(past.value, new.value, slot, axis=2))
