"""The safetensors files of a Hugging Face folder, opened but not read; no torch, nothing unpickled.

Such files are foreign. The safetensors library refuses a header that is no JSON of its form, shapes that
overflow or disagree with their bytes, and bytes that are shared, missing or left over. Refused here, before
and after it: headers that cost memory, names given twice, and tensors that no T5 has.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  gives numpy its bfloat16
import numpy as np
import safetensors

from fiat_jax.errors import DataError

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_HEADER_BYTES = 2**20  # ten times the header of the largest T5; once parsed it takes some ten times as much
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

    def read(self, *index: range) -> np.ndarray:
        """All values, or those of a part: a range of some first axes."""
        slices = tuple(slice(part.start, part.stop) for part in index or (range(self.shape[0]),))
        return self.file.get_slice(self.name)[slices]


def open_folder(folder: Path) -> dict[str, Tensor]:
    """The tensors of model.safetensors, or of the shards that model.safetensors.index.json names.

    Raises:
      DataError: no safetensors, a broken or missing file, an index that disagrees with its shards, or
        tensors that are not of floating point.
    """
    if (folder / _SINGLE).is_file():
        tensors = open_file(folder / _SINGLE)
    elif (folder / _INDEX).is_file():
        tensors = _open_shards(folder / _INDEX)
    else:
        raise DataError(_no_safetensors(folder))
    foreign = [
        f"{name} ({tensor.dtype} {list(tensor.shape[:4])})"
        for name, tensor in tensors.items()
        if tensor.dtype not in _FLOATS or not 0 < len(tensor.shape) < 3 or 0 in tensor.shape
    ]
    if foreign:
        raise DataError(
            f"{folder}: expected matrices and vectors in {', '.join(_FLOATS)}, found {some(foreign)}; "
            "take the model as it was before it was quantised."
        )
    return tensors


def open_file(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file, whose header is checked.

    Raises:
      DataError: no such file, or a broken one.
    """
    try:
        _check_length(path)
        file = safetensors.safe_open(path, framework="numpy")
        _check_names(path)
        return {name: Tensor(file, name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        found = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: expected a safetensors file, but {found}; download it again.") from None


def same_values(one: Tensor, other: Tensor, chunk: int = 4096) -> bool:
    """Whether two tensors are equal, reading some rows of each at a time."""
    if one.shape != other.shape:
        return False
    rows = range(one.shape[0])
    parts = (rows[start : start + chunk] for start in range(0, len(rows), chunk))
    return all(np.array_equal(one.read(part), other.read(part)) for part in parts)


def some(names: Sequence[str], most: int = 20) -> str:
    """Names in a sentence, without all that a hostile file may list."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A hook for `json.loads` that refuses an object with a name twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it gives a name twice")
    return found


def _open_shards(path: Path) -> dict[str, Tensor]:
    index = _read_index(path)
    shards = {shard: open_file(path.parent / shard) for shard in sorted(set(index.values()))}
    absent = [f"{name} in {shard}" for name, shard in index.items() if name not in shards[shard]]
    if absent:
        raise DataError(f"{path}: expected tensors that its files do not hold: {some(absent)}.")
    return {name: shards[shard][name] for name, shard in index.items()}


def _read_index(path: Path) -> Mapping[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
        index = json.loads(text, object_pairs_hook=without_repeats)["weight_map"]
        if index and all(Path(shard).name == shard for shard in index.values()):
            return index
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise DataError(
        f"{path}: expected a 'weight_map' from tensor names to files beside it; download it again."
    )


def _check_length(path: Path) -> None:
    """Refuses a header that would take much memory, and what is no file and might be waited for."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > _HEADER_BYTES:
        raise ValueError(f"it announces a header of {length} bytes, and no T5's has over {_HEADER_BYTES}")


def _check_names(path: Path) -> None:
    """Refuses a tensor that a header, which is sound but for that, describes twice."""
    with path.open("rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    json.loads(header.decode(), object_pairs_hook=without_repeats)


def _no_safetensors(folder: Path) -> str:
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    if pickled:
        return (
            f"{folder}: expected {_SINGLE}, found only {', '.join(pickled)}, which may run code when opened; "
            f"convert it once where torch is installed: cd '{folder}' && python -c \"{_CONVERT}\""
        )
    found = ", ".join(sorted(path.name for path in folder.iterdir())) or "an empty folder"
    return f"{folder}: expected {_SINGLE} or {_INDEX}, found {found}; no other format of weights is read."
