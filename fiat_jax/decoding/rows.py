"""Rows that are being answered, and the step that takes all of them one token further.

All arrays of a row lie along the leading axis of its leaves, so that rows can be taken out, put in and moved
whatever the search is. They share a counter of steps: what a row sees of the cache is a mask of its own, and
how long ago it was written is the same for all rows, wherever each began.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fiat_jax.adapters.bank import for_rows
from fiat_jax.decoding.search import BeamSearch, Search
from fiat_jax.decoding.spans import Spans, allowed, standing
from fiat_jax.models import T5, Cache, Step
from fiat_jax.models.axes import CACHE, constrain
from fiat_jax.typing import Array, Variables

NOT_YET = -1e9
"""The score of what is not there."""

DEAD = NOT_YET / 2
"""What has no higher score is not there either, whatever was added to it."""


class Kept(NamedTuple):
    """The complete answers of a beam search.

    Attributes:
      tokens: [B, Q, T] int32.
      scores: [B, Q] float32, descending.
      complete: [B, Q] bool, False where there is no answer yet.
      open: [B] bool, whether a better one could still come.
    """

    tokens: Array
    scores: Array
    complete: Array
    open: Array


class Rows(NamedTuple):
    """B rows of Q beginnings each; Q is 1 but for beams.

    Attributes:
      last: [B, Q] int32, the last token of each.
      tokens: [B, Q, T] int32, what is written, padded.
      scores: [B, Q] float32, log-probabilities of that.
      written: [B] int32, how many tokens.
      done: [B] bool.
      seed: [B] int32.
      seen: [B, Q, M] bool, the slots of the cache that hold a beginning's past.
      source_mask: [B, 1, 1, S].
      cache: the decoder's.
      adapter: [B] int32, the number of each row's adapter in a bank, or None.
      spans: what the answers are runs of, or None.
      at: [B, Q, P] bool, where in them what is written ends, or None.
      kept: of a beam search, else None.
    """

    last: Array
    tokens: Array
    scores: Array
    written: Array
    done: Array
    seed: Array
    seen: Array
    source_mask: Array
    cache: Cache
    adapter: Array | None = None
    spans: Spans | None = None
    at: Array | None = None
    kept: Kept | None = None


def beams(search: Search) -> int:
    """Q, the beginnings of a row."""
    return search.size if isinstance(search, BeamSearch) else 1


def new_rows(
    model: T5,
    variables: Variables,
    search: Search,
    inputs: Array,
    seed: Array,
    adapter: Array | None,
    spans: Spans | None,
    max_length: int,
) -> Rows:
    """Rows of which nothing is written.

    Args:
      model: laid out for decoding.
      variables: its collections.
      search: how tokens are chosen.
      inputs: [B, S] int32, padded; a row of padding alone is done.
      seed: [B] int32.
      adapter: [B] int32, of a bank, or None.
      spans: of the rows, or None.
      max_length: T.
    """
    config, batch, width = model.config, inputs.shape[0], beams(search)
    variables = of_rows(variables, adapter)
    encoded = model.apply(variables, inputs, method="encode")
    one = jnp.zeros((batch, width), jnp.float32)
    tokens = jnp.full((batch, width, max_length), config.pad_id, jnp.int32)
    kept = None
    if isinstance(search, BeamSearch):
        one = one.at[:, 1:].set(NOT_YET)
        kept = Kept(tokens, jnp.full_like(one, NOT_YET), jnp.zeros_like(one, bool), jnp.ones(batch, bool))
    return Rows(
        last=jnp.full((batch, width), config.decoder_start_id, jnp.int32),
        tokens=tokens,
        scores=one,
        written=jnp.zeros(batch, jnp.int32),
        done=jnp.all(inputs == config.pad_id, axis=-1),
        seed=seed,
        seen=jnp.zeros((batch, width, max_length * width), bool),
        source_mask=model.apply(variables, inputs, method="source_mask"),
        cache=model.apply(variables, encoded, max_length * width, method="start"),
        adapter=adapter,
        spans=spans,
        at=None if spans is None else jnp.zeros((batch, width, spans.tokens.shape[1]), bool),
        kept=kept,
    )


def advanced(model: T5, variables: Variables, rows: Rows, step: Array) -> tuple[Array, Rows]:
    """Writes the last tokens into the cache, and asks what comes next.

    Args:
      model, variables: as for `new_rows`.
      rows: as they are.
      step: scalar int32, how many steps were done before, in all.

    Returns:
      Logits [B, Q, V] float32, and the rows with their cache.
    """
    (_, width, slots), length = rows.seen.shape, rows.tokens.shape[-1]
    turn = step % length
    slot = jnp.arange(slots)
    now = (slot // width) == turn
    mine = (slot % width) == jnp.arange(width)[:, None]
    seen = jnp.where(now, mine, rows.seen)
    where = Step(turn * width, ((turn - slot // width) % length)[None], seen)
    logits, cache = model.apply(
        of_rows(variables, rows.adapter), rows.last, rows.cache, where, rows.source_mask, method="decode_step"
    )
    return logits, rows._replace(seen=seen, cache=cache)


def of_rows(variables: Variables, adapter: Array | None) -> Variables:
    """Variables whose bank of adapters, where they have one, is told the rows' own [B]."""
    return variables if adapter is None else {**variables, "adapter": for_rows(variables["adapter"], adapter)}


def next_places(rows: Rows) -> Array | None:
    """Where in the spans the next token could stand, [B, Q, P], or None where the rows are free."""
    if rows.spans is None or rows.at is None:
        return None
    return standing(rows.spans, rows.at, rows.written)


def within(rows: Rows, places: Array | None, logits: Array, eos_id: int) -> Array:
    """Logits of which those are -inf that would leave the spans."""
    if places is None or rows.spans is None or rows.at is None:
        return logits
    may = allowed(rows.spans, rows.at, places, logits.shape[-1], eos_id)
    return jnp.where(may, logits, -jnp.inf)


def follow(rows: Rows, places: Array | None, token: Array) -> Array | None:
    """Where the tokens [B, Q] that were chosen stand in the spans."""
    if places is None or rows.spans is None:
        return None
    return places & (rows.spans.tokens[:, None] == token[..., None])


def put(tokens: Array, written: Array, token: Array) -> Array:
    """Tokens [B, Q, T] with one more [B, Q] after those that were written [B]."""
    here = jnp.arange(tokens.shape[-1]) == written[:, None, None]
    return jnp.where(here, token[..., None], tokens)


def pinned(rows: Rows) -> Rows:
    """The rows with their sharding said, so that it stays what it is from step to step."""

    def by_row(tree: Any) -> Any:
        return jax.tree.map(lambda x: constrain(x, ("batch", *(None,) * (x.ndim - 1))), tree)

    cache = jax.tree.map(lambda x: constrain(x, CACHE), rows.cache)
    return by_row(rows._replace(cache=()))._replace(cache=cache)
