"""Weights laid out for decoding, where a few rows at a time pass all of the decoder.

    model, variables = laid_out(model, variables)

- The decoder's layers are taken apart. A scan would copy the weights of a layer out of the stack before each
  product, in every step anew.
- On a CPU the kernels of the decoder are turned, [out, in], and multiplied from the left. For few rows its
  library of products is then about twice as fast.
- Where the configuration has answers in int8, all kernels are, and what they are multiplied with is rounded
  to int8 too, each row by its own largest value (Dettmers et al. 2022, section 3.1, without outliers).
"""

import operator
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import flax
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from fiat_jax.adapters import ProjectionAdapter
from fiat_jax.errors import ConfigError
from fiat_jax.models.quantised import Int8, quantise
from fiat_jax.typing import Array, Variables

_FEW = 64
"""Rows up to which a product is faster from the left."""
_FEW_ROWS = re.compile(r"(decoder/layers_(?!.*cross_attention/(key|value)/)|lm_head/).*kernel$")
"""Kernels that few rows pass at a time: of the decoder, but those which the encoded input passes, once."""
_INT8 = re.compile(r"((encoder|decoder)/layers|lm_head/).*kernel$")


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
        product = partial(jax.lax.dot_general, preferred_element_type=out_dtype)
        kernel, last = self.values.astype(x.dtype), (x.ndim - 1,)
        if x.size // x.shape[-1] > _FEW:
            return product(x, kernel, ((last, (1,)), ((), ())))
        return jnp.moveaxis(product(kernel, x, (((1,), last), ((), ()))), 0, -1)


class TurnedInt8(Turned):
    """A kernel [in, out] of which output j is `values[j] * scale[j]`."""

    scale: Array  # float32 [out]

    def astype(self, dtype: Any) -> Array:
        """The kernel as an array [in, out]."""
        return (self.values * self.scale[:, None]).astype(dtype).T

    def multiply(self, x: Array, out_dtype: Any = None) -> Array:
        """[..., out] of x [..., in], which is rounded to int8; the sum is exact."""
        wide = x.astype(jnp.float32)
        largest = jnp.abs(wide).max(axis=-1, keepdims=True)
        step = jnp.where(largest > 0, largest, 1) / 127
        product = super().multiply(jnp.round(wide / step).astype(jnp.int8), jnp.int32)
        return (product * step * self.scale).astype(out_dtype or x.dtype)


def laid_out(model: Any, variables: Variables) -> tuple[Any, Variables]:
    """A model and its variables for decoding.

    Args:
      model: a `T5`; one that is laid out already is given back as it is.
      variables: its collections.

    Raises:
      ConfigError: answers are to be in int8, and kernels have an adapter that is not merged or are quantised.
    """
    if model.unrolled:
        return model, variables
    config, whole = model.config, model.config.quantise == "none"
    taken_apart = _unrolled(variables, config.num_decoder_layers)
    if config.answer_in_int8:
        if isinstance(model.adapter, ProjectionAdapter) or not whole:
            raise ConfigError(
                "Base.answer_in_int8: expected kernels that an adapter is merged into, found "
                + ("an adapter beside them" if whole else f"a base in {config.quantise}")
                + "; answer with one run at a time, whose base is not quantised, or leave it False."
            )
        taken_apart |= {"params": _changed(taken_apart["params"], _INT8, _int8)}
    elif jax.default_backend() == "cpu" and model.adapter is None and whole:
        taken_apart |= {"params": _changed(taken_apart["params"], _FEW_ROWS, lambda x: Turned(_turned(x)))}
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


def _changed(params: Any, which: re.Pattern[str], change: Callable[[Array], Any]) -> Any:
    """Parameters of which those are changed whose paths match."""
    flat: dict[Any, Any] = flatten_dict(params, sep="/")
    return unflatten_dict({p: change(x) if which.match(p) else x for p, x in flat.items()}, sep="/")


_unrolled = jax.jit(unrolled, static_argnums=1)


@jax.jit
def _turned(kernel: Array) -> Array:
    return jnp.swapaxes(kernel, -1, -2)


@jax.jit
def _int8(kernel: Array) -> TurnedInt8:
    stored = quantise(kernel, "int8")
    assert isinstance(stored, Int8)
    return TurnedInt8(jnp.swapaxes(stored.values, -1, -2), stored.scale)
