"""Beam search, with the rules of transformers.

Of the continuations of all Q beginnings of a row the best 2 Q are looked at. Those of the best Q that end
become answers; the best Q that do not end go on. Nothing is copied in the cache: a beginning's past is the
slots that it sees, and it takes those over from the beginning that it continues.
"""

import jax
import jax.numpy as jnp

from fiat_jax.decoding.rows import DEAD, NOT_YET, Kept, Rows, follow, next_places, put, within
from fiat_jax.decoding.rules import ruled
from fiat_jax.decoding.search import BeamSearch
from fiat_jax.models import T5Config
from fiat_jax.typing import Array


def choose_beams(search: BeamSearch, config: T5Config, rows: Rows, logits: Array) -> Rows:
    """The rows one token further.

    Args:
      search: its settings.
      config: of the model.
      rows: with the cache of this step.
      logits: [B, Q, V] of what comes next.
    """
    width, vocab, length = logits.shape[1], logits.shape[2], rows.tokens.shape[-1]
    places = next_places(rows)
    scores = ruled(search, jax.nn.log_softmax(logits), rows.tokens, rows.written, config.decoder_start_id)
    scores = jnp.maximum(within(rows, places, scores, config.eos_id), NOT_YET) + rows.scores[..., None]
    scores, index = jax.lax.top_k(scores.reshape(len(scores), -1), 2 * width)
    parent, token = index // vocab, index % vocab
    ends = (token == config.eos_id) | (rows.written + 1 == length)[:, None]
    candidates = put(_of(rows.tokens, parent), rows.written, token)
    kept = _keep(search, rows, candidates, scores, ends)

    running = scores + jnp.where(ends, NOT_YET, 0.0)
    best, index = jax.lax.top_k(running, width)
    parent, token = _of(parent, index), _of(token, index)
    places = None if places is None else _of(places, parent)
    went_on = rows._replace(
        last=token,
        tokens=_of(candidates, index),
        scores=best,
        written=rows.written + 1,
        seen=_of(rows.seen, parent),
        at=follow(rows, places, token),
        kept=kept,
    )
    return _settled(search, length, rows, went_on)


def _keep(search: BeamSearch, rows: Rows, candidates: Array, scores: Array, ends: Array) -> Kept:
    """The best complete answers, with those candidates [B, 2 Q] among them that have just ended."""
    assert rows.kept is not None
    before, width = rows.kept, rows.kept.scores.shape[1]
    new = ends & (jnp.arange(2 * width) < width) & (scores > DEAD) & before.open[:, None]
    if search.early_stopping is True:
        new &= ~jnp.all(before.complete, axis=1, keepdims=True)
    length = (rows.written + 1).astype(jnp.float32)[:, None]
    penalised = jnp.where(new, scores / length**search.length_penalty, NOT_YET)
    merged, index = jax.lax.top_k(jnp.concatenate([before.scores, penalised], axis=1), width)
    return Kept(
        tokens=_of(jnp.concatenate([before.tokens, candidates], axis=1), index),
        scores=merged,
        complete=_of(jnp.concatenate([before.complete, new], axis=1), index),
        open=before.open,
    )


def _settled(search: BeamSearch, length: int, before: Rows, rows: Rows) -> Rows:
    """The rows with what is known of their end; one that was done before is left as it was."""
    kept = rows.kept
    assert kept is not None
    reach = rows.written.astype(jnp.float32)
    if search.early_stopping == "never" and search.length_penalty > 0:
        reach = jnp.full_like(reach, length)
    could = rows.scores[:, 0] / reach**search.length_penalty
    worst = jnp.where(jnp.all(kept.complete, axis=1), kept.scores[:, -1], NOT_YET)
    open = kept.open & (could > worst) & (rows.scores[:, 0] > DEAD)
    done = ~open | (rows.written == length)
    if search.early_stopping is True:
        done |= jnp.all(kept.complete, axis=1)
    rows = rows._replace(kept=kept._replace(open=open), done=done)

    def choose(old: Array, new: Array) -> Array:
        return jnp.where(before.done.reshape(-1, *(1,) * (new.ndim - 1)), old, new)

    return jax.tree.map(choose, before._replace(cache=()), rows._replace(cache=()))._replace(cache=rows.cache)


def _of(values: Array, index: Array) -> Array:
    """Of values [B, X, ...] those at an index [B, Y], [B, Y, ...]."""
    return jnp.take_along_axis(values, index.reshape(*index.shape, *(1,) * (values.ndim - 2)), axis=1)
