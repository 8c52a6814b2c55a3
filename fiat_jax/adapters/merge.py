"""Adapters of linear layers merged into the base, and taken out again."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from fiat_jax.adapters.projection import ProjectionAdapter
from fiat_jax.typing import Array, Params


def merge(base: Params, weights: Params, adapter: ProjectionAdapter) -> Params:
    """The base that gives without its adapter what it gives with it.

    Each kernel is computed in float32 and kept in its dtype; scanned layers are merged all at once.

    Args:
      base: kernels [..., in, out] in a tree.
      weights: the collection 'adapter', whose leaves stand beside the kernels that they adapt.
      adapter: its settings.

    Returns:
      A base of the same structure and dtypes.
    """
    return _changed(base, weights, adapter.name, adapter.merged)


def unmerge(base: Params, weights: Params, adapter: ProjectionAdapter) -> Params:
    """The base before `merge`, up to rounding. Arguments as there.

    Raises:
      ConfigError: the adapter is of a kind that cannot be taken out.
    """
    return _changed(base, weights, adapter.name, adapter.unmerged)


def by_place(weights: Params, name: str) -> Iterator[tuple[str, dict[str, Array]]]:
    """The module paths where something is learned, and the learned arrays of each by name."""
    places: dict[str, dict[str, Any]] = {}
    for path, leaf in flatten_dict(weights).items():
        place = "/".join(part for part in path[:-1] if part != name) or name
        places.setdefault(place, {})[path[-1]] = leaf
    yield from places.items()


def largest_change(before: Params, after: Params) -> Array:
    """The largest absolute change of a weight: a float32 scalar, not finite where any weight is not."""
    changes = jax.tree.map(
        lambda x, y: jnp.max(jnp.abs(y.astype(jnp.float32) - x.astype(jnp.float32))), before, after
    )
    return jnp.max(jnp.stack(jax.tree.leaves(changes)))


def _changed(base: Params, weights: Params, name: str, change: Any) -> Params:
    flat: dict[Any, Any] = flatten_dict(base)
    for path, learned in by_place(weights, name):
        kernel = (*path.split("/"), "kernel")
        flat[kernel] = change(path, jnp.asarray(flat[kernel]), learned).astype(flat[kernel].dtype)
    return unflatten_dict(flat)
