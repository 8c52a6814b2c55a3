"""Frozen kernels in eight or four bits, made float again where they are multiplied and nowhere else.

    'int8'   w = value * scale              symmetric, a float32 scale for every output
    'nf4'    w = CODEBOOK[code] * scale     a scale for 64 inputs of an output (Dettmers et al. 2023)
             scale = offset + step * level  itself in eight bits, an offset and a step for 256 of them

A stored kernel is a tree of arrays, so it is scanned, sharded and saved as any parameter is. qwix 0.1.8 does
not serve here: it quantises only a kernel that meets `lax.dot_general` untouched and leaves others float
without a word, its NF4 scales are float32, and its backward pass keeps the float kernels of all layers.
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, TypeVar

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fiat_jax.errors import ConfigError
from fiat_jax.models.axes import constrain
from fiat_jax.models.config import Quantise
from fiat_jax.typing import Array, Params

Axes = tuple[str | None, ...]

BLOCK = 64
"""Inputs of one output that share a scale in NF4."""
GROUP = 256
"""Scales of NF4, counted along the outputs and then the blocks, that share an offset and a step."""


def _codebook() -> np.ndarray:
    """The 16 values of NF4: quantiles of the normal law, seven below 0 and eight above, scaled to 1."""
    quantile, edge = NormalDist().inv_cdf, 1 - (1 / 32 + 1 / 30) / 2
    below = [-quantile(p) for p in np.linspace(edge, 0.5, 8)[:-1]]
    above = [quantile(p) for p in np.linspace(0.5, edge, 9)[1:]]
    return np.array([*below, 0.0, *above], np.float32) / np.float32(quantile(edge))


CODEBOOK = _codebook()
_MIDDLES = (CODEBOOK[1:] + CODEBOOK[:-1]) / 2
_NIBBLES = np.array([0, 4], np.uint8)[:, None, None]


class Int8(flax.struct.PyTreeNode):
    """Kernels [..., in, out] of which output j is `values[..., j] * scale[..., j]`."""

    values: Array  # int8 [..., in, out]
    scale: Array  # float32 [..., out]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the kernels."""
        return self.values.shape

    @property
    def size(self) -> int:
        """How many weights there are."""
        return self.values.size

    def astype(self, dtype: Any) -> Array:
        """The kernels as an array [..., in, out], computed in float32 and rounded to a dtype."""
        return (self.values.astype(jnp.float32) * self.scale[..., None, :]).astype(dtype)

    def boxed(self, axes: Axes) -> "Int8":
        """Every array with the names of its axes, given those of the kernel."""
        return Int8(_named(self.values, axes), _named(self.scale, axes[1:]))


class NF4(flax.struct.PyTreeNode):
    """Kernels [..., in, out] in 4.13 bits a weight, `in` a multiple of BLOCK.

    A byte holds two codes of one block: the low half that of an input in the block's first half, the high
    half that of the input BLOCK / 2 after it.
    """

    codes: Array  # uint8 [..., in / 2, out]
    levels: Array  # uint8 [..., in / BLOCK, out]
    offset: Array  # float32 [..., G], G groups of levels
    step: Array  # float32 [..., G]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the kernels."""
        *lead, half, out = self.codes.shape
        return (*lead, 2 * half, out)

    @property
    def size(self) -> int:
        """How many weights there are."""
        return 2 * self.codes.size

    @property
    def scale(self) -> Array:
        """The scales [..., in / BLOCK, out], float32."""

        def spread(group: Array) -> Array:
            shape = self.levels.shape
            each = jnp.repeat(group, GROUP, axis=-1)[..., : shape[-2] * shape[-1]]
            return each.reshape(shape)

        return spread(self.offset) + spread(self.step) * self.levels.astype(jnp.float32)

    def astype(self, dtype: Any) -> Array:
        """The kernels as an array [..., in, out], computed in float32 and rounded to a dtype."""
        *lead, blocks, out = self.levels.shape
        pairs = self.codes.reshape(*lead, blocks, 1, BLOCK // 2, out)
        values = _look_up(pairs >> _NIBBLES & 15) * self.scale[..., None, None, :]
        return values.astype(dtype).reshape(self.shape)

    def boxed(self, axes: Axes) -> "NF4":
        """Every array with the names of its axes, given those of the kernel.

        Scales are not split along the inputs: a share of those need not be whole blocks.
        """
        codes, levels = _named(self.codes, axes), _named(self.levels, (None, axes[1]))
        return NF4(codes, levels, _named(self.offset, (None,)), _named(self.step, (None,)))


Kernel = Array | Int8 | NF4
"""Kernels as they are stored. All have a shape, a size and `astype`, which gives an array."""

_Kind = TypeVar("_Kind", Array, Int8, NF4, Kernel)


def is_quantised(x: Any) -> bool:
    """Whether this is a kernel in fewer bits; as `is_leaf`, where a tree of parameters is to be cut."""
    return isinstance(x, Int8 | NF4)


def quantise(kernel: Array, how: Quantise) -> Kernel:
    """Stores kernels [..., in, out], each on its own, so that one layer at a time gives the same.

    Raises:
      ConfigError: NF4 of a number of inputs that is not a multiple of BLOCK.
    """
    if how == "none":
        return kernel
    kernel = jnp.asarray(kernel, jnp.float32)
    return _int8(kernel) if how == "int8" else _nf4(kernel)


def dequantised(params: Params, dtype: Any) -> Params:
    """A base whose quantised kernels are arrays of a dtype, such as an adapter can be merged into."""
    return jax.tree.map(lambda x: x.astype(dtype) if is_quantised(x) else x, params, is_leaf=is_quantised)


def boxed(kernel: Kernel, axes: Axes) -> Any:
    """The arrays of a kernel [in, out] with the names of their axes, for an initializer to return."""
    return kernel.boxed(axes) if isinstance(kernel, Int8 | NF4) else _named(kernel, axes)


def with_kernel(function: Callable[..., Array], kernel: Kernel, axes: Axes, x: Array, *args: Any) -> Array:
    """`function(kernel, x, *args)` with the kernel as an array of x's dtype.

    Devices that share it between them gather it as it is stored: left to itself, XLA passes it round in a
    ring and adds up products in memory on the way. Where it is stored in fewer bits, the backward pass keeps
    it so, with the arguments, and makes the array a second time: otherwise a scan over layers would keep
    those of all layers at once.

    Args:
      function: of an array [in, out], x and the other arguments.
      kernel: as it is stored.
      axes: its logical axes.
      x: [..., in].
      *args: trees of arrays.
    """

    def computed(kernel: Kernel, x: Array, *args: Any) -> Array:
        return function(gathered(kernel, axes).astype(x.dtype), x, *args)

    if is_quantised(kernel):
        computed = jax.checkpoint(computed, prevent_cse=False)
    return computed(kernel, x, *args)


def gathered(kernel: _Kind, axes: Axes) -> _Kind:
    """A kernel, or another array of weights, of which each device that has a share of 'embed' gets all."""
    named = boxed(kernel, tuple(None if axis == "embed" else axis for axis in axes))
    return jax.tree.map(lambda x: constrain(x.value, x.names), named, is_leaf=_is_named)


def _int8(kernel: Array) -> Int8:
    scale = jnp.abs(kernel).max(axis=-2) / 127
    return Int8(jnp.round(kernel / _divisor(scale)[..., None, :]).astype(jnp.int8), scale)


def _nf4(kernel: Array) -> NF4:
    *lead, inputs, out = kernel.shape
    if inputs % BLOCK:
        raise ConfigError(
            f"nf4: expected a number of inputs that is a multiple of {BLOCK} for every linear layer, "
            f"found a kernel of {inputs} x {out}; use int8 for this model."
        )
    blocks = kernel.reshape(*lead, inputs // BLOCK, 2, BLOCK // 2, out)
    largest = jnp.abs(blocks).max(axis=(-3, -2))
    flat = largest.reshape(*lead, -1)
    filling = [(0, 0)] * len(lead) + [(0, -flat.shape[-1] % GROUP)]
    groups = jnp.pad(flat, filling, mode="edge").reshape(*lead, -1, GROUP)
    offset = groups.min(axis=-1)
    step = (groups.max(axis=-1) - offset) / 255
    levels = jnp.round((groups - offset[..., None]) / _divisor(step)[..., None]).astype(jnp.uint8)
    levels = levels.reshape(*lead, -1)[..., : flat.shape[-1]].reshape(largest.shape)
    stored = NF4(jnp.zeros((*lead, inputs // 2, out), jnp.uint8), levels, offset, step)
    codes = _nearest(blocks / _divisor(stored.scale)[..., None, None, :])
    packed = codes[..., 0, :, :] | codes[..., 1, :, :] << 4
    return stored.replace(codes=packed.reshape(stored.codes.shape))


def _divisor(scale: Array) -> Array:
    """A scale to divide by: weights whose scale is 0 are all 0."""
    return jnp.where(scale > 0, scale, 1)


def _nearest(x: Array) -> Array:
    """The codes of the values of CODEBOOK that are nearest."""
    return sum((x > middle).astype(jnp.uint8) for middle in _MIDDLES)


def _look_up(codes: Array) -> Array:
    """The values of CODEBOOK, as a sum in which one term is not 0: accelerators gather slowly."""
    return sum(value * (codes == code) for code, value in enumerate(CODEBOOK.tolist()))


def _named(x: Any, names: tuple[str | None, ...]) -> Any:
    return nn.LogicallyPartitioned(x, names)


def _is_named(x: Any) -> bool:
    return isinstance(x, nn.LogicallyPartitioned)
