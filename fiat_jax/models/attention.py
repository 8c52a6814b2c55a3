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


def relative_distances(first: Array | int, queries: int, keys: int) -> Array:
    """Every distance between some positions in a row and the keys, once.

    Args:
      first: position of the first query; those after it follow one by one. May be traced, so that a decoding
        step pays for one row only.
      queries: Q, how many there are.
      keys: K; keys stand at 0 .. K-1.

    Returns:
      int32 [Q + K], key minus query, in the order that `expand_bias` reads; one of them is not used.
    """
    index = jnp.arange(queries + keys)
    return jnp.where(index < keys, index, index - (queries + keys)) - first


def expand_bias(by_distance: Array, queries: int) -> Array:
    """The bias of every query and key, of which each diagonal is one value.

    Each row is the one above it, turned by one. Laid end to end and cut at one value less, copies of the
    first row come to stand so, without a gather; what flows back is a sum and not a scatter.

    Args:
      by_distance: [N, Q + K] bias of the distances that `relative_distances` gives.
      queries: Q.

    Returns:
      [1, N, Q, K].
    """
    heads, size = by_distance.shape
    rows = jnp.broadcast_to(by_distance[:, None], (heads, queries, size)).reshape(heads, queries * size)
    turned = rows[:, : queries * (size - 1)].reshape(heads, queries, size - 1)
    return turned[None, :, :, : size - queries]


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
