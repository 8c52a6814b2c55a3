"""Weights laid out for decoding, where a few rows at a time pass all of the decoder.

    model, variables = laid_out(model, variables)

- The decoder's layers are taken apart. A scan would copy the weights of a layer out of the stack before each
  product, in every step anew.
- On a CPU the kernels of the decoder are turned, [out, in], and multiplied from the left. For few rows its
  library of products is then about twice as fast.
"""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import flax
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from fiat_jax.typing import Array, Variables

_ONCE = ("cross_attention/key/kernel", "cross_attention/value/kernel")
"""Kernels of the decoder that the whole encoded input passes, once."""


class Turned(flax.struct.PyTreeNode):
    """A kernel [in, out] that is stored as [out, in]."""

    values: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the kernel."""
        return (self.values.shape[1], self.values.shape[0])

    @property
    def size(self) -> int:
        """How many weights there are."""
        return self.values.size

    def astype(self, dtype: Any) -> Array:
        """The kernel as an array [in, out]."""
        return self.values.astype(dtype).T

    def multiply(self, x: Array, out_dtype: Any = None) -> Array:
        """[..., out] of x [..., in]."""
        product = jax.lax.dot_general(
            self.values.astype(x.dtype),
            x,
            (((1,), (x.ndim - 1,)), ((), ())),
            preferred_element_type=out_dtype,
        )
        return jnp.moveaxis(product, 0, -1)


def laid_out(model: Any, variables: Variables) -> tuple[Any, Variables]:
    """A model and its variables for decoding.

    Args:
      model: a `T5`; one that is laid out already is given back as it is.
      variables: its collections.
    """
    if model.unrolled:
        return model, variables
    turn = jax.default_backend() == "cpu" and model.adapter is None and model.config.quantise == "none"
    taken_apart = jax.jit(partial(unrolled, layers=model.config.num_decoder_layers))(variables)
    if turn:
        taken_apart = {"params": _turned(taken_apart["params"])}
    return model.clone(unrolled=True), taken_apart


def unrolled(
    variables: Variables, layers: int, layer: Callable[[Any, int], Any] = operator.getitem
) -> Variables:
    """Collections whose decoder has, in place of a stack of layers, each layer under a name of its own.

    Args:
      variables: the collections.
      layers: how many there are.
      layer: gives of a stacked leaf that of one layer.
    """

    def of(collection: Any) -> Any:
        decoder = dict(collection.get("decoder", {}))
        stack = decoder.pop("layers", {})
        if not stack:
            return collection
        each = {f"layers_{i}": jax.tree.map(lambda x, i=i: layer(x, i), stack) for i in range(layers)}
        return {**collection, "decoder": {**decoder, **each}}

    return {name: of(collection) for name, collection in variables.items()}


def _turned(params: Any) -> Any:
    flat: dict[Any, Any] = flatten_dict(params, sep="/")
    turn = jax.jit(jnp.transpose)
    for path, leaf in flat.items():
        inside = path.startswith(("decoder/layers_", "lm_head/")) and path.endswith("/kernel")
        if inside and not path.endswith(_ONCE):
            flat[path] = Turned(turn(leaf))
    return unflatten_dict(flat, sep="/")
