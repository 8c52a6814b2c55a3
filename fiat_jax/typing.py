"""Shape-typed aliases: the letters say what each axis is.

B batch, S source (encoder) length, T target (decoder) length, D d_model, N heads, H d_kv, L layers,
V vocabulary, R adapter rank.
"""

from typing import Any, NotRequired, TypedDict

import jax

Array = jax.Array
Params = dict[str, Any]
"""A tree of arrays, as one Flax variable collection holds it."""

Variables = dict[str, Params]
"""Collections by name: 'params' is the base, 'adapter' what is learned on top of it."""


class Batch(TypedDict):
    """What one step reads. Rows that only fill a last batch have weight 0 everywhere."""

    inputs: Array  # [B, S] int32, padded with the pad id
    targets: Array  # [B, T] int32, padded with the pad id
    weights: Array  # [B, T] float32, 1 where a target token counts
    inputs_segments: NotRequired[
        Array
    ]  # [B, S] int32, from 1 in each row where examples share it; 0 fills up
    targets_segments: NotRequired[Array]  # [B, T] int32, the same
