"""What is done to logits before a token is chosen: rules about what was written, and filters of a sampler."""

import jax
import jax.numpy as jnp

from fiat_jax.decoding.search import Sample, Search
from fiat_jax.typing import Array

NEVER = -1e9
"""The logit of what a rule forbids; finite, so that something is left where all is forbidden."""


def ruled(search: Search, logits: Array, tokens: Array, written: Array, start_id: int) -> Array:
    """Logits after the rules about what was written.

    Args:
      search: has the rules.
      logits: [B, Q, V].
      tokens: [B, Q, T] int32, of which the first `written` [B] count; before them stands `start_id`.
    """
    if search.repetition_penalty == 1.0 and not search.no_repeat_ngram:
        return logits
    start = jnp.full_like(tokens[..., :1], start_id)
    line = jnp.concatenate([start, tokens], axis=-1)
    valid = jnp.arange(line.shape[-1]) <= written[:, None, None]
    if search.repetition_penalty != 1.0:
        used = _mark(logits, line, valid)
        dearer = jnp.where(logits < 0, logits * search.repetition_penalty, logits / search.repetition_penalty)
        logits = jnp.where(used, dearer, logits)
    if search.no_repeat_ngram:
        logits = jnp.where(_would_repeat(search.no_repeat_ngram, logits, line, written), NEVER, logits)
    return logits


def filtered(search: Sample, logits: Array) -> Array:
    """Logits [..., V] of which a sampler has taken away what it does not draw."""
    logits = logits / search.temperature
    if 0 < search.top_k < logits.shape[-1]:
        least = jax.lax.top_k(logits, search.top_k)[0][..., -1:]
        logits = jnp.where(logits < least, -jnp.inf, logits)
    if search.top_p < 1:
        logits = _until(logits, -logits, search.top_p)
    if search.min_p > 0:
        least = jnp.max(logits, axis=-1, keepdims=True) + jnp.log(search.min_p)
        logits = jnp.where(logits < least, -jnp.inf, logits)
    if search.typical_p < 1:
        surprise = -jax.nn.log_softmax(logits)
        finite = jnp.where(jnp.isfinite(surprise), surprise, 0.0)
        expected = jnp.sum(jnp.exp(-surprise) * finite, axis=-1, keepdims=True)
        logits = _until(logits, jnp.abs(surprise - expected), search.typical_p)
    return logits


def _until(logits: Array, order: Array, share: float) -> Array:
    """The logits of the tokens that come first in an order and whose probabilities reach a share together."""
    rank = jnp.argsort(order, axis=-1)
    probabilities = jnp.take_along_axis(jax.nn.softmax(logits, axis=-1), rank, axis=-1)
    before = jnp.cumsum(probabilities, axis=-1) - probabilities
    last = jnp.sum(before < share, axis=-1, keepdims=True) - 1
    limit = jnp.take_along_axis(jnp.take_along_axis(order, rank, axis=-1), last, axis=-1)
    return jnp.where(order > limit, -jnp.inf, logits)


def _mark(logits: Array, tokens: Array, valid: Array) -> Array:
    """True in [B, Q, V] at the tokens [B, Q, M] that are valid."""
    batch, beams, size = logits.shape
    row, beam = jnp.ogrid[:batch, :beams, :1][:2]
    return jnp.zeros(logits.shape, bool).at[row, beam, jnp.where(valid, tokens, size)].set(True, mode="drop")


def _would_repeat(n: int, logits: Array, line: Array, written: Array) -> Array:
    """True in [B, Q, V] at the tokens that would end a run of n tokens that was there before."""
    length = line.shape[-1]
    ends = jnp.arange(length)  # of earlier runs
    same = jnp.ones(line.shape, bool)
    for back in range(1, n):
        earlier = jnp.roll(line, back, axis=-1)
        now = jnp.take_along_axis(line, jnp.maximum(written - back + 1, 0)[:, None, None], axis=-1)
        same &= earlier == now
    known = (ends >= n - 1) & (ends <= written[:, None, None]) & (written + 2 > n)[:, None, None]
    return _mark(logits, line, same & known)
