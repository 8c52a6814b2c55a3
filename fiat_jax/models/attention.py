"""Attention as T5 has it: no scaling of the logits, and a learned bias by relative position."""

import math

import jax
import jax.numpy as jnp

from fiat_jax.typing import Array


def relative_buckets(distance: Array, *, bidirectional: bool, num_buckets: int, max_distance: int) -> Array:
    """Maps distances between positions to buckets: exact when near, logarithmic when far.

    Raffel et al. 2020, section 2.1, with the rounding of the published checkpoints.

    Args:
      distance: any shape, int; key position minus query position.
      bidirectional: whether keys after the query have buckets of their own (encoder).
      num_buckets: buckets in all.
      max_distance: from here on every distance falls into the last bucket.

    Returns:
      int32 buckets in [0, num_buckets), shaped as distance.
    """
    bucket = jnp.zeros_like(distance)
    if bidirectional:
        num_buckets //= 2
        bucket = jnp.where(distance > 0, num_buckets, 0)
        distance = jnp.abs(distance)
    else:
        distance = jnp.maximum(-distance, 0)
    exact = num_buckets // 2
    ratio = jnp.log(jnp.maximum(distance, 1).astype(jnp.float32) / exact) / math.log(max_distance / exact)
    far = jnp.minimum(exact + (ratio * (num_buckets - exact)).astype(jnp.int32), num_buckets - 1)
    return bucket + jnp.where(distance < exact, distance, far)


def position_bias(table: Array, query_positions: Array, key_length: int, **buckets) -> Array:
    """The bias of every query and key of a stack; the same for all its layers.

    Args:
      table: [num_buckets, N] learned bias.
      query_positions: [Q] int, so that one decoding step pays for one row only.
      key_length: K; keys stand at 0 .. K-1.
      **buckets: as for `relative_buckets`.

    Returns:
      [1, N, Q, K] in table's dtype.
    """
    distance = jnp.arange(key_length)[None, :] - query_positions[:, None]
    return table[relative_buckets(distance, **buckets)].transpose(2, 0, 1)[None]


def attend(query: Array, key: Array, value: Array, bias: Array | None, mask: Array | None) -> Array:
    """Unscaled dot-product attention, softmax in float32.

    Args:
      query: [B, Q, N, H]; key, value: [B, K, N, H].
      bias: [1 or B, N, Q, K], added to the logits, or None.
      mask: broadcastable to [B, N, Q, K], True where a key may be seen, or None.

    Returns:
      [B, Q, N, H] in query's dtype.
    """
    bias = None if bias is None else bias.astype(query.dtype)
    return jax.nn.dot_product_attention(query, key, value, bias=bias, mask=mask, scale=1.0)
