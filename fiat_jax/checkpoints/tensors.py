"""The safetensors files of a Hugging Face folder, opened but not read; no torch, nothing unpickled."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  gives numpy its bfloat16
import numpy as np
import safetensors

from fiat_jax.errors import DataError

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_FLOATS = ("F64", "F32", "F16", "BF16")
_CONVERT = (
    "import glob, torch, safetensors.torch as s; "
    "s.save_file({k: v.clone() for p in glob.glob('pytorch_model*.bin') "
    "for k, v in torch.load(p, weights_only=True).items()}, 'model.safetensors')"
)


@dataclass(frozen=True)
class Tensor:
    """A tensor in an open file. Only its header is read until its values are asked for."""

    file: Any
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in the file."""
        return tuple(self.file.get_slice(self.name).get_shape())

    @property
    def dtype(self) -> str:
        """The dtype in the file, by safetensors' name."""
        return self.file.get_slice(self.name).get_dtype()

    def read(self) -> np.ndarray:
        """All values."""
        return self.file.get_tensor(self.name)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """The values of some rows; `stop` may lie beyond the last."""
        return self.file.get_slice(self.name)[start : min(stop, self.shape[0])]


def open_folder(folder: Path) -> dict[str, Tensor]:
    """The tensors of model.safetensors, or of the shards that model.safetensors.index.json names.

    Raises:
      DataError: no safetensors, a broken or missing file, an index that disagrees with its shards, or
        tensors that are not of floating point.
    """
    if (folder / _SINGLE).is_file():
        tensors = _open(folder / _SINGLE)
    elif (folder / _INDEX).is_file():
        tensors = _open_shards(folder / _INDEX)
    else:
        raise DataError(_no_safetensors(folder))
    foreign = [f"{name} ({tensor.dtype})" for name, tensor in tensors.items() if tensor.dtype not in _FLOATS]
    if foreign:
        raise DataError(
            f"{folder}: expected weights in {', '.join(_FLOATS)}, found {', '.join(foreign)}; "
            "take the model as it was before it was quantised."
        )
    return tensors


def same_values(one: Tensor, other: Tensor, chunk: int = 4096) -> bool:
    """Whether two tensors are equal, reading some rows of each at a time."""
    if not one.shape or one.shape != other.shape:
        return False
    starts = range(0, one.shape[0], chunk)
    return all(np.array_equal(one.rows(i, i + chunk), other.rows(i, i + chunk)) for i in starts)


def _open_shards(path: Path) -> dict[str, Tensor]:
    index = _read_index(path)
    shards = {shard: _open(path.parent / shard) for shard in sorted(set(index.values()))}
    absent = [f"{name} in {shard}" for name, shard in index.items() if name not in shards[shard]]
    if absent:
        raise DataError(f"{path}: expected tensors that its files do not hold: {', '.join(absent)}.")
    return {name: shards[shard][name] for name, shard in index.items()}


def _read_index(path: Path) -> Mapping[str, str]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        if index and all(Path(shard).name == shard for shard in index.values()):
            return index
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise DataError(
        f"{path}: expected a 'weight_map' from tensor names to files beside it; download it again."
    )


def _open(path: Path) -> dict[str, Tensor]:
    try:
        file = safetensors.safe_open(path, framework="numpy")
        return {name: Tensor(file, name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: expected a safetensors file, but {error}; download it again.") from None


def _no_safetensors(folder: Path) -> str:
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    if pickled:
        return (
            f"{folder}: expected {_SINGLE}, found only {', '.join(pickled)}, which may run code when opened; "
            f"convert it once where torch is installed: cd '{folder}' && python -c \"{_CONVERT}\""
        )
    found = ", ".join(sorted(path.name for path in folder.iterdir())) or "an empty folder"
    return f"{folder}: expected {_SINGLE} or {_INDEX}, found {found}; no other format of weights is read."
