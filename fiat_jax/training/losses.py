"""The likelihood of the targets."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fiat_jax.models.likelihood import picked
from fiat_jax.typing import Array


class LossSums(NamedTuple):
    """Sums over target tokens; they add up over micro-batches and devices, means do not."""

    loss: Array  # scalar float32, nats
    correct: Array  # scalar float32, tokens than which the model finds none more likely
    weight: Array  # scalar float32, tokens that count

    def __add__(self, other: "LossSums") -> "LossSums":  # type: ignore[override]
        return jax.tree.map(jnp.add, self, other)


def cross_entropy(logits: Array, targets: Array, weights: Array) -> LossSums:
    """Weighted cross-entropy of next-token logits, in float32.

    Args:
      logits: [B, T, V]; targets: [B, T] int32; weights: [B, T] float32, 0 where a target does not count.
    """
    logits = logits.astype(jnp.float32)
    found = picked(logits, targets[..., None])
    losses = jax.nn.logsumexp(logits, axis=-1) - found
    # A maximum and no index of it, for the reason that `picked` gives.
    right = (found >= jnp.max(logits, axis=-1)).astype(jnp.float32)
    return LossSums(jnp.sum(losses * weights), jnp.sum(right * weights), jnp.sum(weights))
