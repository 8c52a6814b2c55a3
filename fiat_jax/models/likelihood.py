"""Given targets beside a decoder: what it reads of them, and the logits that it has for them."""

import jax.numpy as jnp

from fiat_jax.typing import Array


def shift_right(targets: Array, start_id: int, segments: Array | None = None) -> Array:
    """Decoder inputs [B, T] of targets [B, T]: the start token, then all but the last target.

    Args:
      targets: token ids.
      start_id: the start token.
      segments: [B, T] which of a row's examples each target is of; each begins with the start token.
    """
    shifted = jnp.pad(targets[:, :-1], ((0, 0), (1, 0)), constant_values=start_id)
    if segments is None:
        return shifted
    return jnp.where(segments == jnp.pad(segments[:, :-1], ((0, 0), (1, 0))), shifted, start_id)


def picked(logits: Array, ids: Array) -> Array:
    """The logits [B, T] of ids that broadcast against logits [B, T, V].

    By a sum and not an index: devices that split the vocabulary then send each other one number a token, and
    nothing as large as the logits is made.
    """
    return jnp.sum(jnp.where(jnp.arange(logits.shape[-1]) == ids, logits, 0.0), axis=-1)
