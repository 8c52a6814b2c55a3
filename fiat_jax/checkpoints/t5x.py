"""T5 weights from a t5x checkpoint folder: a msgpack index, and beside it a zarr array for each large one.

    write(folder, *t5x.load("t5_1_1_small/checkpoint_1000000"))    # huggingface_export's; then as any other

The folder is foreign: all that is read lies in it, whatever its index says of places, and not behind a link.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax import serialization
from flax.traverse_util import unflatten_dict

from fiat_jax.checkpoints.names import Row, rows
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.models.config import T5Config
from fiat_jax.typing import Params

_FLOATS = ("float32", "bfloat16", "float16", "float64")
_SMALLEST = 1032
"""No array is more times larger than its gzipped files."""

_EMBEDDING, _HEAD = "token_embedder/embedding", "decoder/logits_dense/kernel"
_BIAS, _QUERY = "encoder/relpos_bias/rel_embedding", "encoder/layers_0/attention/query/kernel"
_WI, _WI_0 = "encoder/layers_0/mlp/wi/kernel", "encoder/layers_0/mlp/wi_0/kernel"


@dataclass(frozen=True)
class _Array:
    """An array of the checkpoint: a numpy array of the index, or a tensorstore that is open but not read."""

    values: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)

    def read(self) -> np.ndarray:
        return self.values if isinstance(self.values, np.ndarray) else self.values.read().result()


def load(source: str | Path, **settings: Any) -> tuple[T5Config, Params]:
    """Loads a T5 v1.0 or v1.1, or an mT5, ByT5, FLAN-T5, as t5x keeps it (Roberts et al. 2022).

    Sizes come from the arrays' shapes. A gated feed-forward is taken for GELU: give `activation='silu'` for
    a UL2. Models whose layers t5x scans, as UMT5's, are refused.

    Args:
      source: a folder `checkpoint_N`, with the file `checkpoint`.
      **settings: fields of the config to set over what the arrays say, such as activation and dropout.

    Returns:
      The config, and the base as `huggingface.load` gives it, float32.

    Raises:
      ConfigError: no such folder.
      DataError: a broken file, a link, or arrays that are not those of such a model.
    """
    folder = Path(source).expanduser()
    arrays = _open(folder)
    config = _config(arrays, folder, settings)
    shapes = {name: _their_shape(row, config) for row in rows(config) for name in _names(row, config)}
    wrong = [name for name in shapes.keys() | arrays.keys() if _shape(arrays, name) != shapes.get(name)]
    if wrong:
        raise DataError(
            f"{folder}: expected the arrays of one T5, found some absent, of another shape, or not of such a "
            f"model: {', '.join(sorted(wrong)[:20])}; sizes are {config}."
        )
    return config, unflatten_dict({row.path: _read(row, config, arrays) for row in rows(config)}, sep="/")


def _open(folder: Path) -> dict[str, _Array]:
    index = folder / "checkpoint"
    if not index.is_file():
        raise ConfigError(f"{folder}: expected a t5x folder checkpoint_N, with a file 'checkpoint' in it.")
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if (link := Path(place, name)).is_symlink():
                raise DataError(f"{link}: expected a checkpoint without links; copy what it leads to.")
    try:
        contents = serialization.msgpack_restore(index.read_bytes())
        target = contents.get("optimizer", contents)["target"]
        return {name: _array(folder, name, leaf) for name, leaf in _leaves(target)}
    except DataError:
        raise
    except Exception as error:  # of msgpack, flax or tensorstore, each with its own
        raise DataError(f"{folder}: expected a t5x checkpoint, but {error}; copy it again.") from None


def _leaves(tree: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Paths like 'encoder/layers_0/mlp/wo/kernel', with an array or the specification of one."""
    if not isinstance(tree, Mapping) or "driver" in tree:
        return [(above, tree)]
    return [leaf for name, value in tree.items() for leaf in _leaves(value, f"{above}/{name}".lstrip("/"))]


def _array(folder: Path, name: str, leaf: Any) -> _Array:
    if isinstance(leaf, np.ndarray):
        array, dtype = _Array(leaf), leaf.dtype.name
    else:
        array = _Array(_zarr(folder, leaf))
        dtype = array.values.dtype.name
    if dtype not in _FLOATS:
        raise DataError(f"{folder}: expected arrays of {', '.join(_FLOATS)}, found {name} of {dtype}.")
    return array


def _zarr(folder: Path, leaf: Mapping[str, Any]) -> Any:
    """The array of a specification, opened where it lies; of where it lay only the folder's name is taken."""
    import tensorstore

    path = str(leaf["kvstore"].get("path") or leaf.get("path")).rstrip("/")
    place = folder / path
    if leaf["driver"] != "zarr" or not re.fullmatch(r"\w[\w.-]*", path) or not place.is_dir():
        raise DataError(f"{folder}: expected a zarr array in a folder beside 'checkpoint', found {path!r}.")
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(place.resolve())}}
    array: Any = tensorstore.open(spec, read=True).result()
    size = sum(file.stat().st_size for file in place.iterdir())
    chunk, wanted = array.chunk_layout.read_chunk.shape, array.size * array.dtype.numpy_dtype.itemsize
    if wanted > size * _SMALLEST or any(c > n for c, n in zip(chunk, array.shape, strict=True)):
        raise DataError(
            f"{place}: expected files of an array of {list(array.shape)}, found {size} bytes in chunks of "
            f"{list(chunk)}; copy the checkpoint again."
        )
    return array


def _config(arrays: Mapping[str, _Array], folder: Path, settings: Mapping[str, Any]) -> T5Config:
    gated, tied = _WI_0 in arrays, _HEAD not in arrays
    needed = (_EMBEDDING, _BIAS, _QUERY, _WI_0 if gated else _WI)
    shapes = [_shape(arrays, name) or () for name in needed]
    if any(len(shape) != 2 or 0 in shape for shape in shapes) or shapes[2][1] % shapes[1][0]:
        listed = ", ".join(f"{name} {list(shape)}" for name, shape in zip(needed, shapes, strict=True))
        raise DataError(f"{folder}: expected matrices of a T5, the third for whole heads, found {listed}.")
    (vocab_size, d_model), (heads, buckets), (_, d_attention), (_, d_ff) = shapes
    fields: dict[str, Any] = dict(
        vocab_size=vocab_size,
        d_model=d_model,
        d_kv=d_attention // heads,
        d_ff=d_ff,
        num_heads=heads,
        num_encoder_layers=_layers("encoder", arrays),
        num_decoder_layers=_layers("decoder", arrays),
        relative_buckets=buckets,
        activation="gelu_new" if gated else "relu",
        gated=gated,
        tied=tied,
        scale_decoder_output=tied,
    )
    return T5Config(**(fields | dict(settings)))


def _layers(stack: str, arrays: Mapping[str, _Array]) -> int:
    return sum(bool(re.fullmatch(rf"{stack}/layers_\d+/mlp/wo/kernel", name)) for name in arrays)


def _shape(arrays: Mapping[str, _Array], name: str) -> tuple[int, ...] | None:
    return arrays[name].shape if name in arrays else None


def _names(row: Row, config: T5Config) -> list[str]:
    """t5x's names of a parameter, in the order of our layers."""
    stack, _, rest = row.path.partition("/")
    name = _NAMES.get(row.path) or f"{stack}/{_NAMES.get(rest, rest)}"
    own = "attention" if stack == "encoder" else "self_attention"
    name = name.replace("layers/", "layers_{layer}/").replace("/self_attention", f"/{own}")
    for ours, theirs in (
        (f"/{own}_norm/", f"/pre_{own}_layer_norm/"),
        ("/cross_attention_norm/", "/pre_cross_attention_layer_norm/"),
        ("/cross_attention/", "/encoder_decoder_attention/"),
        ("/mlp_norm/", "/pre_mlp_layer_norm/"),
        ("/final_norm/", f"/{stack}_norm/"),
    ):
        name = name.replace(ours, theirs)
    return [name.format(layer=layer) for layer in range(row.layers(config) or 1)]


_NAMES = {
    "shared/embedding": _EMBEDDING,
    "lm_head/kernel": _HEAD,
    "relative_bias/embedding": "relpos_bias/rel_embedding",
}


def _read(row: Row, config: T5Config, arrays: Mapping[str, _Array]) -> np.ndarray:
    """Our array; kernels are the same way round, the table of biases is not."""
    array = np.empty(row.shape(config), np.float32)
    slots = array[None] if row.layers(config) is None else array
    for slot, name in zip(slots, _names(row, config), strict=True):
        values = arrays[name].read()
        slot[...] = values.T if _turned(row) else values
    return array


def _their_shape(row: Row, config: T5Config) -> tuple[int, ...]:
    return row.shape(config)[-len(row.axes) :][:: -1 if _turned(row) else 1]


def _turned(row: Row) -> bool:
    return row.path.endswith("relative_bias/embedding")
