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


def relative_distances(queries: int, keys: int) -> Array:
    """Every distance between queries at 0 .. Q-1 and keys at 0 .. K-1, once.

    Returns:
      int32 [Q + K], key minus query, in the order that `expand_bias` reads; one of them is not used.
    """
    index = jnp.arange(queries + keys)
    return jnp.where(index < keys, index, index - (queries + keys))


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


def weigh(query: Array, key: Array, value: Array, bias: Array | None, mask: Array | None) -> Array:
    """Attention with heads before positions, as it is computed and cached; softmax in float32.

    The sum of the weights is divided by last, where it is small.

    Args:
      query: [B, Q, N, H].
      key: [B, N, H, K].
      value: [B, N, K, H].
      bias: broadcastable to [B, N, Q, K], added to the logits; None for none.
      mask: broadcastable to [B, 1, Q, K], True where a key may be seen; None for all.

    Returns:
      [B, Q, N, H] in query's dtype.
    """
    query = jnp.swapaxes(query, 1, 2)
    logits = jnp.einsum("bnqh,bnhk->bnqk", query, key, preferred_element_type=jnp.float32)
    if bias is not None:
        logits = logits + bias
    if mask is not None:
        logits = jnp.where(mask, logits, jnp.finfo(jnp.float32).min)
    weights = jnp.exp(logits - jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True)))
    total = jnp.sum(weights, axis=-1, keepdims=True)
    summed = jnp.einsum(
        "bnqk,bnkh->bnqh", weights.astype(value.dtype), value, preferred_element_type=jnp.float32
    )
    return jnp.swapaxes((summed / total).astype(query.dtype), 1, 2)


def attend(
    query: Array, key: Array, value: Array, by_distance: Array | None, mask: Array | None, parts: int = 1
) -> Array:
    """Unscaled dot-product attention, softmax in float32.

    Args:
      query: [B, Q, N, H]; key, value: [B, K, N, H].
      by_distance: [N, Q + M] bias of the last M keys, as for `expand_bias`, added to the logits; keys before
        them have none. None for no bias.
      mask: broadcastable to [B, 1, Q, K], True where a key may be seen, or None.
      parts: in how many the heads, and the rows too where these are more than the heads, are computed, one
        after another and again in the backward pass, so that the logits and bias of one part alone are held.

    Returns:
      [B, Q, N, H] in query's dtype.
    """

    def some(query: Array, key: Array, value: Array, by_distance: Array | None, mask: Array | None) -> Array:
        bias = None
        if by_distance is not None:
            bias = expand_bias(by_distance, query.shape[1]).astype(query.dtype)
            bias = jnp.pad(bias, ((0, 0), (0, 0), (0, 0), (key.shape[1] - bias.shape[-1], 0)))
        return weigh(query, jnp.transpose(key, (0, 2, 3, 1)), jnp.swapaxes(value, 1, 2), bias, mask)

    if parts == 1:
        return some(query, key, value, by_distance, mask)
    (rows, queries, heads, width), head_parts = query.shape, math.gcd(parts, query.shape[2])
    row_parts = math.gcd(parts // head_parts, rows)

    def split(x: Array) -> Array:
        """[parts, rows, K, heads, H]. Each part takes from everywhere, and so from every device."""
        x = x.reshape(-1, row_parts, x.shape[1], heads // head_parts, head_parts, width)
        return jnp.moveaxis(x, (4, 1), (0, 1)).reshape(-1, *x.shape[:1], *x.shape[2:4], width)

    if by_distance is not None:
        by_distance = jnp.moveaxis(by_distance.reshape(-1, head_parts, by_distance.shape[1]), 1, 0)
        by_distance = jnp.repeat(by_distance, row_parts, axis=0)
    each = None
    if mask is not None and mask.shape[0] == rows:
        each = jnp.moveaxis(mask.reshape(-1, row_parts, *mask.shape[1:]), 1, 0)
        each = jnp.tile(each, (head_parts, 1, 1, 1, 1))

    @jax.checkpoint
    def part(arrays: tuple[Array, Array, Array, Array | None, Array | None]) -> Array:
        query, key, value, by_distance, its_mask = arrays
        return some(query, key, value, by_distance, mask if its_mask is None else its_mask)

    out = jax.lax.map(part, (split(query), split(key), split(value), by_distance, each))
    out = out.reshape(head_parts, row_parts, -1, queries, heads // head_parts, width)
    return jnp.moveaxis(out, (0, 1), (4, 1)).reshape(query.shape)
