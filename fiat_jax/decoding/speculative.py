"""Greedy decoding with a small model that runs ahead (Leviathan et al. 2023): the same tokens in fewer steps.

The small model, the draft, writes some tokens one by one; the large one reads all of them in one step, and
keeps those that it would have written itself, with one of its own after them. All rows of a batch go on
together, by what the slowest of them has kept: made for few rows, where a step costs what reading the weights
costs.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from fiat_jax.decoding.stream import WIDTHS, Answer, Take, bucket, padded, until_end
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5, Cache, Step, laid_out
from fiat_jax.models.axes import TOKENS, constrain
from fiat_jax.parallel import RULES, fetch, own_rows, put_batch
from fiat_jax.typing import Array, Variables


class Speaker(NamedTuple):
    """A model and its variables."""

    model: T5
    variables: Variables


class _Loop(NamedTuple):
    position: Array  # scalar int32, tokens written
    rounds: Array  # scalar int32, steps of the large model
    tokens: Array  # [B, T + ahead + 1] int32
    scores: Array  # [B] float32
    last: Array  # [B] int32
    done: Array  # [B] bool
    cache: Cache
    draft_cache: Cache


def speculate(
    large: T5,
    draft: T5,
    max_length: int,
    ahead: int,
    variables: Variables,
    draft_variables: Variables,
    inputs: Array,
) -> tuple[Array, Array, Array]:
    """Greedy answers of a batch.

    Args:
      large, draft: laid out for decoding; of one vocabulary.
      max_length: T, the most tokens to write.
      ahead: how many tokens the draft writes at a time.
      variables, draft_variables: collections of the two.
      inputs: [B, S] int32, padded; a row of padding alone is done before it starts.

    Returns:
      Token ids [B, T] int32, padded after the end; their log-probabilities [B] float32; and the steps of the
      large model.
    """
    config, slots = large.config, max_length + ahead + 1
    with nn.logical_axis_rules(RULES):
        apply, draft_apply = partial(large.apply, variables), partial(draft.apply, draft_variables)
        mask, draft_mask = (one(inputs, method="source_mask") for one in (apply, draft_apply))

        def step(apply: Any, tokens: Array, cache: Cache, first: Array, mask: Array) -> tuple[Array, Cache]:
            distance = first + jnp.arange(tokens.shape[1])[:, None] - jnp.arange(slots)
            where = Step(first, distance, (distance >= 0)[None])
            return apply(tokens, cache, where, mask, method="decode_step")

        def propose(loop: _Loop) -> tuple[Array, Cache]:
            """The last tokens and those of the draft after them, [B, ahead + 1]; all are in its cache."""

            def one(carry: tuple[Array, Cache], at: Array) -> tuple[tuple[Array, Cache], Array]:
                token, cache = carry
                logits, cache = step(draft_apply, token[:, None], cache, loop.position + at, draft_mask)
                return (jnp.argmax(logits[:, 0], axis=-1).astype(jnp.int32), cache), token

            (_, cache), tokens = jax.lax.scan(one, (loop.last, loop.draft_cache), jnp.arange(ahead + 1))
            return tokens.T, cache

        def advance(loop: _Loop) -> _Loop:
            proposed, draft_cache = propose(loop)
            logits, cache = step(apply, proposed, loop.cache, loop.position, mask)
            own = jnp.argmax(logits, axis=-1).astype(jnp.int32)
            right = jnp.cumprod(own[:, :-1] == proposed[:, 1:], axis=1).sum(axis=1)
            count = jnp.min(jnp.where(loop.done, ahead, right)) + 1
            ends = (own == config.eos_id).astype(jnp.int32)
            ended = loop.done[:, None] | (jnp.cumsum(ends, axis=1) - ends > 0)
            kept = (
                ~ended
                & (jnp.arange(ahead + 1) < count)
                & (loop.position + jnp.arange(ahead + 1) < max_length)
            )
            each = jnp.take_along_axis(jax.nn.log_softmax(logits), own[..., None], axis=-1)[..., 0]
            own = jnp.where(kept, own, config.pad_id)
            return _Loop(
                position=loop.position + count,
                rounds=loop.rounds + 1,
                tokens=jax.lax.dynamic_update_slice_in_dim(loop.tokens, own, loop.position, axis=1),
                scores=loop.scores + jnp.sum(jnp.where(kept, each, 0.0), axis=1),
                last=jnp.take_along_axis(own, jnp.full_like(own[:, :1], count - 1), axis=1)[:, 0],
                done=loop.done | jnp.any(kept & (ends > 0), axis=1),
                cache=cache,
                draft_cache=draft_cache,
            )

        batch = inputs.shape[0]
        start = _Loop(
            position=jnp.int32(0),
            rounds=jnp.int32(0),
            tokens=jnp.full((batch, slots), config.pad_id, jnp.int32),
            scores=jnp.zeros(batch, jnp.float32),
            last=jnp.full((batch,), config.decoder_start_id, jnp.int32),
            done=jnp.all(inputs == config.pad_id, axis=-1),
            cache=apply(apply(inputs, method="encode"), slots, method="start"),
            draft_cache=draft_apply(draft_apply(inputs, method="encode"), slots, method="start"),
        )

        def unfinished(loop: _Loop) -> Array:
            return (loop.position < max_length) & ~jnp.all(loop.done)

        end = jax.lax.while_loop(unfinished, advance, start)
        return constrain(end.tokens[:, :max_length], TOKENS), constrain(end.scores, TOKENS[:1]), end.rounds


@lru_cache(maxsize=4)
def _speculating(large: T5, draft: T5, max_length: int, ahead: int) -> Any:
    """`speculate`, compiled once for all decoders that have these in common."""
    return jax.jit(partial(speculate, large, draft, max_length, ahead))


class SpeculativeDecoder:
    """Answers requests as a greedy `Decoder` does, a batch after another, with a draft that runs ahead.

    Attributes:
      steps: of the large model so far.
    """

    def __init__(
        self,
        large: Speaker,
        draft: Speaker,
        mesh: jax.sharding.Mesh,
        max_length: int,
        ahead: int = 4,
        batch_size: int = 1,
        buckets: tuple[int, ...] = WIDTHS,
    ) -> None:
        """Lays the weights out for decoding.

        Args:
          large, draft: of one vocabulary.
          mesh: where their variables lie.
          max_length: the most tokens of an answer.
          ahead: how many tokens the draft writes at a time.
          batch_size: rows that go on together.
          buckets: as in `Decoder`.

        Raises:
          ConfigError: the two do not have one vocabulary.
        """
        ours, theirs = (
            (one.model.config.pad_id, one.model.config.eos_id, one.model.config.decoder_start_id)
            for one in (large, draft)
        )
        if ours != theirs or large.model.config.vocab_size != draft.model.config.vocab_size:
            raise ConfigError(
                f"draft: expected a T5 with the {large.model.config.vocab_size} ids of the tuned model's "
                f"vocabulary, found {draft.model.config.vocab_size}; use a smaller one of the same family."
            )
        self.mesh, self.batch_size, self.buckets, self.steps = mesh, batch_size, buckets, 0
        self.large, self.draft = Speaker(*laid_out(*large)), Speaker(*laid_out(*draft))
        self._speculate = _speculating(self.large.model, self.draft.model, max_length, ahead)

    def run(self, take: Take) -> Iterator[tuple[Any, Answer]]:
        """Answers requests until there are no more, with the caller's keys."""
        config = self.large.model.config
        while (given := take(self.batch_size, True)) is not None:
            if not given:
                continue
            requests = [request for _, request in given]
            width = bucket(max(len(one.inputs) for one in requests), self.buckets)
            inputs = padded(requests, self.batch_size, width, config.pad_id)
            with jax.set_mesh(self.mesh):
                placed = put_batch(inputs[own_rows(self.batch_size, self.mesh)], self.mesh)
                tokens, scores, steps = fetch(
                    self._speculate(self.large.variables, self.draft.variables, placed)
                )
            self.steps += int(steps)
            for (key, _), ids, score in zip(given, tokens, scores, strict=False):
                yield key, Answer((until_end(ids, config.eos_id),), (float(score),))
