"""Greedy decoding: one compiled loop over a cache, the encoded input projected once."""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from fiat_jax.models import T5, Cache, empty_cache
from fiat_jax.models.axes import TOKENS, constrain
from fiat_jax.parallel import RULES
from fiat_jax.typing import Array, Variables


class _Loop(NamedTuple):
    position: Array  # scalar int32, tokens written
    tokens: Array  # [B, T] int32
    last: Array  # [B] int32
    done: Array  # [B] bool
    cache: Cache


@partial(jax.jit, static_argnums=(0, 3))
def greedy(model: T5, variables: Variables, inputs: Array, max_length: int) -> Array:
    """The most likely next token, again and again.

    A row ends with its end-of-sequence token and is padded after it; the loop ends when all rows have.

    Args:
      model: with dropout off.
      variables: 'params', and 'adapter' where the model has one; merged weights decode faster.
      inputs: [B, S] int32, padded. A row of padding alone is done before it starts.
      max_length: T, the most tokens to write.

    Returns:
      [B, T] int32 token ids, whole on every device.
    """
    config = model.config
    with nn.logical_axis_rules(RULES):
        encoded = model.apply(variables, inputs, method="encode")
        source_mask = model.apply(variables, inputs, method="source_mask")
        step = partial(model.apply, variables, source_mask=source_mask, method="decode_step")

        def advance(loop: _Loop, **first) -> _Loop:
            logits, cache = step(loop.last, loop.cache, loop.position, **first)
            token = jnp.where(loop.done, config.pad_id, jnp.argmax(logits, axis=-1)).astype(jnp.int32)
            tokens = jax.lax.dynamic_update_slice_in_dim(loop.tokens, token[:, None], loop.position, axis=1)
            return _Loop(loop.position + 1, tokens, token, loop.done | (token == config.eos_id), cache)

        batch = inputs.shape[0]
        start = _Loop(
            position=jnp.int32(0),
            tokens=jnp.full((batch, max_length), config.pad_id, jnp.int32),
            last=jnp.full((batch,), config.decoder_start_id, jnp.int32),
            done=jnp.all(inputs == config.pad_id, axis=-1),
            cache=empty_cache(config, batch, max_length),
        )
        start = advance(start, encoded=encoded)

        def unfinished(loop: _Loop) -> Array:
            return (loop.position < max_length) & ~jnp.all(loop.done)

        return constrain(jax.lax.while_loop(unfinished, advance, start).tokens, TOKENS)
