"""Answers that can only be runs of given token sequences: spans of a passage, or labels.

Where the sequences are one passage, any run of it will do; where they are labels, whole ones only. What has
been written is followed at all the places at once where it stands in the sequences, as a suffix automaton
would, or a trie of the labels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from fiat_jax.typing import Array

NONE = -1
"""Between sequences, and where a row has no more of them."""


class Spans(NamedTuple):
    """Where an answer may begin, run and end; arrays of one request [P], or of rows [B, P].

    Attributes:
      tokens: int32, the sequences one after another, with NONE between them.
      starts: True where an answer may begin.
      ends: True where it may end.
    """

    tokens: np.ndarray | Array
    starts: np.ndarray | Array
    ends: np.ndarray | Array


def spans_of(passages: Sequence[Sequence[int]] = (), labels: Sequence[Sequence[int]] = ()) -> Spans:
    """The answers that are a run of a passage, or the whole of a label.

    Args:
      passages: token ids of each.
      labels: token ids of each, without end; none is empty.
    """
    tokens: list[int] = []
    starts: list[bool] = []
    ends: list[bool] = []
    for ids, whole in [(ids, False) for ids in passages] + [(ids, True) for ids in labels]:
        last = len(ids) - 1
        tokens += [*ids, NONE]
        starts += [not whole or at == 0 for at in range(len(ids))] + [False]
        ends += [not whole or at == last for at in range(len(ids))] + [False]
    return Spans(np.array(tokens, np.int32), np.array(starts, bool), np.array(ends, bool))


def stack(each: Sequence[Spans | None], width: int) -> Spans:
    """The spans of some rows, padded to a width; a row of None has nothing, and is free."""
    size = (len(each), width)
    out = Spans(np.full(size, NONE, np.int32), np.zeros(size, bool), np.zeros(size, bool))
    for row, one in enumerate(each):
        if one is not None:
            for whole, part in zip(out, one, strict=True):
                whole[row, : len(part)] = part
    return out


def standing(of: Spans, at: Array, written: Array) -> Array:
    """Where the next token could stand, [B, Q, P] bool.

    Args:
      of: of rows.
      at: [B, Q, P] bool, where what is written ends in the sequences.
      written: [B], how many tokens that is.
    """
    after = jnp.pad(at[..., :-1], ((0, 0), (0, 0), (1, 0)))
    return jnp.where(written[:, None, None] == 0, of.starts[:, None], after) & (of.tokens != NONE)[:, None]


def allowed(of: Spans, at: Array, places: Array, vocab_size: int, eos_id: int) -> Array:
    """Which tokens may come next, [B, Q, V] bool; all of them in a row that is free.

    Args:
      of, at: as for `standing`.
      places: as `standing` gives them.
      vocab_size: V.
      eos_id: the end, which may come wherever an answer may end.
    """
    batch, beams, _ = at.shape
    row, beam = jnp.ogrid[:batch, :beams, :1][:2]
    token = jnp.where(places, of.tokens[:, None], vocab_size)  # those out of range are dropped
    some = jnp.zeros((batch, beams, vocab_size), bool).at[row, beam, token].set(True, mode="drop")
    some = some.at[:, :, eos_id].set(jnp.any(at & of.ends[:, None], axis=-1))
    return some | jnp.all(of.tokens == NONE, axis=-1)[:, None, None]
