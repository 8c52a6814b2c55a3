"""What an adapter_model.safetensors holds: each tensor's name and shape, and the slice of ours that it is.

PEFT has one tensor a layer under `base_model.model.<module>.`, where our layers are stacked:

    lora_A.weight           [r, in]     the transpose of a
    lora_B.weight           [out, r]    the transpose of b
    lora_magnitude_vector   [out]       magnitude, for DoRA
    ia3_l                   [out, 1]    scale of outputs, or of inputs as [1, in]

and `prompt_embeddings` [P, D] for a soft prompt. Prefixes have no layout there that holds the encoder's: they
are kept under our own names, each [layers, P, N * H].
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from fiat_jax.adapters import IA3, Learnable, PrefixTuning, ProjectionAdapter, SoftPrompt
from fiat_jax.adapters.targets import matches
from fiat_jax.checkpoints.names import rows
from fiat_jax.checkpoints.tensors import Tensor
from fiat_jax.models.config import T5Config
from fiat_jax.typing import Params

PROMPT = "prompt_embeddings"
LORA_A, IA3_L = "lora_A.weight", "ia3_l"
_SUFFIXES = {"a": LORA_A, "b": "lora_B.weight", "magnitude": "lora_magnitude_vector", "scale": IA3_L}


class Place(NamedTuple):
    """A linear layer inside the blocks.

    Attributes:
      path: our module path, as in 'encoder/layers/self_attention/query'.
      modules: their module names, one a layer, as in 'encoder.block.0.layer.0.SelfAttention.q'.
      kernel: the shape of our kernel without its axis of layers, (in, out).
    """

    path: str
    modules: tuple[str, ...]
    kernel: tuple[int, ...]

    def tensors(self, suffix: str) -> list[str]:
        """The names of a tensor that each layer has."""
        return [f"base_model.model.{module}.{suffix}" for module in self.modules]


class Slot(NamedTuple):
    """What a tensor of a file is.

    Attributes:
      path: of our array in the collection 'adapter'.
      layer: the slice of it; None for all.
      shape: of the slice.
      theirs: the shape of the tensor.
      transposed: whether it is the transpose of the slice; else the same values in the same order.
    """

    path: str
    layer: int | None
    shape: tuple[int, ...]
    theirs: tuple[int, ...]
    transposed: bool = False


def places(config: T5Config) -> list[Place]:
    """All linear layers that may be adapted, in the order of the computation."""
    return [
        Place(
            row.path.removesuffix("/kernel"),
            tuple(name.removesuffix(".weight") for name in row.names(config)),
            row.their_shape(config)[::-1],
        )
        for row in rows(config)
        if row.transposed and row.layers(config) is not None
    ]


def attentions(config: T5Config) -> dict[str, int]:
    """The module paths of attentions, and the number of their layers."""
    queries = [place for place in places(config) if place.path.endswith("/query")]
    return {place.path.removesuffix("/query"): len(place.modules) for place in queries}


def slots(adapter: Learnable, config: T5Config) -> dict[str, Slot]:
    """All tensors of an adapter's file, by their names."""
    return dict(_slots(adapter, config))


def _slots(adapter: Learnable, config: T5Config) -> Iterator[tuple[str, Slot]]:
    if isinstance(adapter, SoftPrompt):
        shape = (adapter.length, config.d_model)
        yield PROMPT, Slot(f"{adapter.name}/prompt", None, shape, shape)
    elif isinstance(adapter, PrefixTuning):
        for path, layers in attentions(config).items():
            for name, weight in adapter.weights(config.d_attention).items() if adapter.adapts(path) else ():
                stack, ours = (layers, *weight.shape), f"{path}/{adapter.name}/{name}"
                yield ours, Slot(ours, None, stack, stack)
    else:
        for place in places(config):
            if adapter.adapts(place.path):
                yield from _of_place(adapter, place)


def _of_place(adapter: ProjectionAdapter, place: Place) -> Iterator[tuple[str, Slot]]:
    kernel: Any = jax.ShapeDtypeStruct(place.kernel, jnp.float32)
    scales_inputs = isinstance(adapter, IA3) and matches(adapter.inputs, place.path)
    for name, weight in adapter.weights(place.path, kernel, ("in", "out")).items():
        shape = weight.shape
        transposed, theirs = name in ("a", "b"), shape[::-1]
        if name == "scale":
            theirs = (1, *shape) if scales_inputs else (*shape, 1)
        for layer, tensor in enumerate(place.tensors(_SUFFIXES[name])):
            yield tensor, Slot(f"{place.path}/{adapter.name}/{name}", layer, shape, theirs, transposed)


def to_theirs(weights: Params, layout: Mapping[str, Slot]) -> dict[str, np.ndarray]:
    """The tensors of a file, float32, of the collection 'adapter'."""
    flat = {path: np.asarray(array, np.float32) for path, array in flatten_dict(weights, sep="/").items()}

    def tensor(slot: Slot) -> np.ndarray:
        array = flat[slot.path] if slot.layer is None else flat[slot.path][slot.layer]
        return np.ascontiguousarray(array.T if slot.transposed else array.reshape(slot.theirs))

    return {name: tensor(slot) for name, slot in layout.items()}


def to_ours(tensors: Mapping[str, Tensor], layout: Mapping[str, Slot]) -> Params:
    """The collection 'adapter', float32 numpy arrays, of the tensors of a file that have their shapes."""
    flat: dict[str, list[np.ndarray]] = {}
    for name, slot in layout.items():
        values = tensors[name].read(*map(range, slot.theirs)).astype(np.float32)
        flat.setdefault(slot.path, []).append(values.T if slot.transposed else values.reshape(slot.shape))
    whole = {slot.path for slot in layout.values() if slot.layer is None}
    arrays = {path: parts[0] if path in whole else np.stack(parts) for path, parts in flat.items()}
    return unflatten_dict(arrays, sep="/")
