"""Our arrays read from their tensors, each in the dtype it is kept in and on the devices that hold it.

A shard of an array is allocated once and filled layer by layer, with the slice of one tensor of theirs in
memory beside it. On a CPU the shard's memory is the array's; on an accelerator it is freed once it is there,
before the next is read. Nothing is read that no device of this process holds, nor once for each device.
Kernels that are quantised are read whole, as their scales need, and one layer at a time.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Sharding

from fiat_jax.checkpoints.names import Row, rows
from fiat_jax.checkpoints.tensors import Tensor
from fiat_jax.models.config import T5Config
from fiat_jax.models.quantised import Kernel, quantise
from fiat_jax.typing import Params

Index = tuple[range, ...]
"""A part of an array: what it covers of each axis."""

_ALIGNMENT = 64  # bytes; JAX takes over memory that starts at a multiple of it, and copies other memory
_TILE = 64  # rows transposed at once; they fit a cache, which whole matrices do not


def read_params(
    config: T5Config, tensors: Mapping[str, Tensor], learned: bool = False, shardings: Any = None
) -> Params:
    """Reads the base.

    Args:
      config: of the base; its dtype is that of frozen matrices, or it says how they are quantised.
      tensors: all that the config names, in the shapes it says.
      learned: whether the base is learned; then all is float32, and else norms and biases by position are.
      shardings: of each parameter, as a tree; None gives numpy arrays.
    """
    places = flatten_dict({} if shardings is None else shardings, sep="/")
    flat: dict[str, Any] = {}
    for row in rows(config):
        if config.quantise != "none" and not learned and "/layers/" in row.path and row.transposed:
            flat[row.path] = _read_quantised(row, config, tensors, places.get(row.path))
            continue
        dtype = row.dtype(config, learned)
        flat[row.path] = _read(row, config, tensors, dtype, places.get(row.path))
    return unflatten_dict(flat, sep="/")


def read_shard(
    row: Row, config: T5Config, tensors: Mapping[str, Tensor], dtype: np.dtype, index: Index
) -> np.ndarray:
    """Reads a part of one parameter, and of the files no more than that."""
    shard, names = _allocate(tuple(map(len, index)), dtype), row.names(config)
    if row.layers(config) is None:
        layers, part, slots = range(1), index, shard[None]
    else:
        layers, part, slots = index[0], index[1:], shard
    for slot, layer in zip(slots, layers, strict=True):
        if row.transposed:
            _transpose(tensors[names[layer]].read(*part[::-1]), slot)
        else:
            slot[...] = tensors[names[layer]].read(*part)
    return shard


def _read(
    row: Row, config: T5Config, tensors: Mapping[str, Tensor], dtype: np.dtype, sharding: Sharding | None
) -> np.ndarray | jax.Array:
    shape = row.shape(config)
    if sharding is None:
        return read_shard(row, config, tensors, dtype, tuple(map(range, shape)))
    arrays: list[jax.Array] = []
    for index, devices in _shards(sharding, shape):
        shard = read_shard(row, config, tensors, dtype, index)
        arrays += jax.block_until_ready([jax.device_put(shard, device) for device in devices])
    return jax.make_array_from_single_device_arrays(shape, sharding, arrays)


def _read_quantised(row: Row, config: T5Config, tensors: Mapping[str, Tensor], shardings: Any) -> Kernel:
    """Reads the kernels of all layers; the host holds them in fewer bits, and one of them as it is."""
    layers, *size = row.shape(config)
    store, wide = partial(_quantise, how=config.quantise), np.dtype("float32")
    form = jax.eval_shape(store, jax.ShapeDtypeStruct(tuple(size), wide))
    stacks = jax.tree.map(lambda x: _allocate((layers, *x.shape), x.dtype), form)
    for layer in range(layers):
        kernel = read_shard(row, config, tensors, wide, (range(layer, layer + 1), *map(range, size)))
        for stack, values in zip(*map(jax.tree.leaves, (stacks, store(kernel[0]))), strict=True):
            stack[layer] = values
    if shardings is None:
        return stacks

    def place(stack: np.ndarray, sharding: Sharding) -> jax.Array:
        return jax.make_array_from_callback(stack.shape, sharding, stack.__getitem__)

    return jax.block_until_ready(jax.tree.map(place, stacks, shardings))


_quantise = jax.jit(quantise, static_argnames="how")


def _shards(sharding: Sharding, shape: tuple[int, ...]) -> Iterator[tuple[Index, list[jax.Device]]]:
    """Each part that this process holds, once, and the devices that hold it."""
    holders: dict[Index, list[jax.Device]] = defaultdict(list)
    for device, slices in sharding.addressable_devices_indices_map(shape).items():
        index = tuple(range(*part.indices(size)) for part, size in zip(slices or (), shape, strict=True))
        holders[index].append(device)
    return iter(holders.items())


def _allocate(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array whose memory JAX can take over on a CPU."""
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _transpose(values: np.ndarray, slot: np.ndarray) -> None:
    """Puts a kernel of theirs [out, in] into its place in ours [in, out], in the dtype kept there."""
    for start in range(0, len(values), _TILE):
        slot[:, start : start + _TILE] = values[start : start + _TILE].T
