"""The likelihood of the targets."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fiat_jax.typing import Array


class LossSums(NamedTuple):
    """Sums over target tokens; they add up over micro-batches and devices, means do not."""

    loss: Array  # scalar float32, nats
    correct: Array  # scalar float32, tokens than which the model finds none more likely
    weight: Array  # scalar float32, tokens that count

    def __add__(self, other: "LossSums") -> "LossSums":  # type: ignore[override]
        return jax.tree.map(jnp.add, self, other)


def shift_right(targets: Array, start_id: int) -> Array:
    """Decoder inputs [B, T] of targets [B, T]: the start token, then all but the last target."""
    return jnp.pad(targets[:, :-1], ((0, 0), (1, 0)), constant_values=start_id)


def cross_entropy(logits: Array, targets: Array, weights: Array) -> LossSums:
    """Weighted cross-entropy of next-token logits, in float32.

    Args:
      logits: [B, T, V]; targets: [B, T] int32; weights: [B, T] float32, 0 where a target does not count.
    """
    logits = logits.astype(jnp.float32)
    # Sums and maxima instead of indices: devices that split the vocabulary then send each other one number a
    # token, and nothing as large as the logits is made.
    picked = jnp.sum(jnp.where(jnp.arange(logits.shape[-1]) == targets[..., None], logits, 0.0), axis=-1)
    losses = jax.nn.logsumexp(logits, axis=-1) - picked
    right = (picked >= jnp.max(logits, axis=-1)).astype(jnp.float32)
    return LossSums(jnp.sum(losses * weights), jnp.sum(right * weights), jnp.sum(weights))
