"""Token ids from inputs: compiled loops over a cache, the encoded input projected once."""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from fiat_jax.decoding.beams import choose_beams
from fiat_jax.decoding.rows import Rows, advanced, follow, new_rows, next_places, pinned, put, within
from fiat_jax.decoding.rules import filtered, ruled
from fiat_jax.decoding.search import GREEDY, BeamSearch, Sample, Search
from fiat_jax.decoding.spans import Spans
from fiat_jax.models import T5, T5Config
from fiat_jax.models.axes import TOKENS, constrain
from fiat_jax.models.layout import unrolled
from fiat_jax.parallel import RULES
from fiat_jax.typing import Array, Variables


class Written(NamedTuple):
    """Answers, whole on every device.

    Attributes:
      done: [B] bool.
      tokens: [B, n, T] int32, the best first, padded after the end.
      scores: [B, n] float32; NOT_YET where there are fewer answers.
    """

    done: Array
    tokens: Array
    scores: Array


@partial(jax.jit, static_argnums=(0, 3, 4))
def generate(
    model: T5, variables: Variables, inputs: Array, max_length: int, search: Search = GREEDY
) -> Array:
    """The answers of a batch, from beginning to end in one program.

    A row ends with its end-of-sequence token and is padded after it; the loop ends when all rows have.

    Args:
      model: with dropout off.
      variables: 'params', and 'adapter' where the model has one; merged weights decode faster.
      inputs: [B, S] int32, padded. A row of padding alone is done before it starts.
      max_length: T, the most tokens to write.
      search: how tokens are chosen; a sampler's seeds are the rows' positions.

    Returns:
      [B, T] int32 token ids, whole on every device.
    """
    if not model.unrolled:
        variables = unrolled(variables, model.config.num_decoder_layers)
        model = model.clone(unrolled=True)
    seed = jnp.arange(inputs.shape[0], dtype=jnp.int32)
    rows = begin(model, search, max_length, variables, inputs, seed, None)
    rows, _, _ = decode(model, search, max_length, variables, rows, jnp.int32(0), jnp.int32(len(seed)))
    return answers(search, rows).tokens[:, 0]


def begin(
    model: T5,
    search: Search,
    max_length: int,
    variables: Variables,
    inputs: Array,
    seed: Array,
    spans: Spans | None,
    adapter: Array | None = None,
) -> Rows:
    """Rows of which nothing is written; see `new_rows`."""
    with nn.logical_axis_rules(RULES):
        return pinned(new_rows(model, variables, search, inputs, seed, spans, max_length, adapter))


def decode(
    model: T5, search: Search, steps: int, variables: Variables, rows: Rows, step: Array, enough: Array
) -> tuple[Rows, Array, Written]:
    """Takes rows further, until enough of them are done.

    Args:
      model: laid out for decoding.
      search: how tokens are chosen.
      steps: the most to go.
      variables: the model's collections.
      rows: as they are.
      step: scalar int32, how many steps were done before.
      enough: scalar int32; rows that were done before count.

    Returns:
      The rows, the steps done by now, and the rows' answers.
    """
    with nn.logical_axis_rules(RULES):

        def unfinished(loop: tuple[Rows, Array]) -> Array:
            rows, now = loop
            return (now < step + steps) & (jnp.sum(rows.done) < enough)

        def advance(loop: tuple[Rows, Array]) -> tuple[Rows, Array]:
            rows, now = loop
            logits, rows = advanced(model, variables, rows, now)
            return _choose(search, model.config, rows, logits), now + 1

        rows, step = jax.lax.while_loop(unfinished, advance, (rows, step))
        return pinned(rows), step, answers(search, rows)


def answers(search: Search, rows: Rows) -> Written:
    """What is written by now."""
    tokens, scores = rows.tokens, rows.scores
    if isinstance(search, BeamSearch):
        assert rows.kept is not None
        tokens, scores = rows.kept.tokens[:, : search.n_best], rows.kept.scores[:, : search.n_best]
    with nn.logical_axis_rules(RULES):
        whole = [constrain(x, (*TOKENS, None)[: x.ndim]) for x in (rows.done, tokens, scores)]
    return Written(*whole)


def _choose(search: Search, config: T5Config, rows: Rows, logits: Array) -> Rows:
    """The rows one token further."""
    if isinstance(search, BeamSearch):
        return choose_beams(search, config, rows, logits)
    places = next_places(rows)
    shaped = ruled(search, logits, rows.tokens, rows.written, config.decoder_start_id)
    shaped = within(rows, places, shaped, config.eos_id)
    if isinstance(search, Sample):
        shaped = filtered(search, shaped) + _noise(search, rows, shaped.shape[-1])
    chosen = _argmax(shaped)
    token = jnp.where(rows.done[:, None], config.pad_id, chosen)
    surprise = jax.nn.logsumexp(logits, axis=-1) - jnp.take_along_axis(logits, chosen[..., None], -1)[..., 0]
    written = rows.written + ~rows.done
    ended = (token == config.eos_id)[:, 0] | (written == rows.tokens.shape[-1])
    return rows._replace(
        last=token,
        tokens=jnp.where(rows.done[:, None, None], rows.tokens, put(rows.tokens, rows.written, token)),
        scores=rows.scores - jnp.where(rows.done[:, None], 0.0, surprise),
        written=written,
        done=rows.done | ended,
        at=follow(rows, places, token),
    )


def _noise(search: Sample, rows: Rows, vocab_size: int) -> Array:
    """Gumbel noise [B, 1, V] of each row's own: the largest sum with logits is a draw from their law."""

    def draw(seed: Array, position: Array) -> Array:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(search.seed), seed), position)
        return jax.random.gumbel(key, (1, vocab_size))

    return jax.vmap(draw)(rows.seed, rows.written)


def _argmax(logits: Array) -> Array:
    """The first of the largest; XLA's own argmax is slow on a CPU, which does not vectorise it."""
    at = jnp.arange(logits.shape[-1], dtype=jnp.int32)
    largest = jnp.max(logits, axis=-1, keepdims=True)
    return jnp.min(jnp.where(logits == largest, at, logits.shape[-1] - 1), axis=-1)
