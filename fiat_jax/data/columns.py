"""A dataclass of sequences as one file, of which nothing is read before it is used.

The file is safetensors. A field that holds an item an example becomes two arrays: all items laid end to end,
and where each begins. Token ids are int32; text is UTF-8; any other item is text too, its JSON. Fields that
are no sequences are left to the caller. What comes back is mapped: many processes share one copy in memory.

A file may come from anywhere: its header is checked by safetensors, then offsets, counts and types here.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints, overload

import numpy as np
import safetensors.numpy

from fiat_jax.errors import DataError

T = TypeVar("T")

_OFFSETS = ".offsets"


class Column(Sequence[T]):
    """Items that are made of their part of a mapped array when they are asked for.

    Attributes:
      flat: all parts, end to end.
      offsets: int64 [N + 1], where each begins and the last ends.
    """

    def __init__(self, flat: np.ndarray, offsets: np.ndarray, made: Callable[[np.ndarray], T]) -> None:
        self.flat, self.offsets, self._made = flat, offsets, made

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...

    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        if isinstance(at, slice):
            return tuple(self[one] for one in range(*at.indices(len(self))))
        at = range(len(self))[at]
        return self._made(self.flat[self.offsets[at] : self.offsets[at + 1]])


def columns_of(cls: type) -> dict[str, Any]:
    """The fields of a dataclass that hold a sequence, and the type of its items."""
    hints = get_type_hints(cls)
    named = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    return {name: get_args(hint)[0] for name, hint in named.items() if get_origin(hint) in (tuple, Sequence)}


def write_columns(path: Path, values: Any) -> None:
    """Writes the sequences of a dataclass."""
    arrays = {}
    for name, kind in columns_of(type(values)).items():
        parts = [_encoded(kind, item) for item in getattr(values, name)]
        empty = np.zeros(0, np.int32 if kind is np.ndarray else np.uint8)
        arrays[name] = np.concatenate([empty, *parts])
        arrays[name + _OFFSETS] = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    safetensors.numpy.save_file(arrays, path)


def read_columns(path: Path, cls: type, count: int) -> dict[str, Column[Any]]:
    """The sequences of a dataclass by field, mapped.

    Args:
      path: of the file.
      cls: the dataclass.
      count: of items in each.

    Raises:
      DataError: the file is no such one.
    """
    from fiat_jax.checkpoints.tensors import open_file  # loads JAX, which rows alone do without

    open_file(path)  # its checks
    arrays = _mapped(path)
    columns, kinds = {}, columns_of(cls)
    for name, kind in kinds.items():
        flat, offsets = arrays.pop(name, None), arrays.pop(name + _OFFSETS, None)
        dtype = np.int32 if kind is np.ndarray else np.uint8
        if flat is None or offsets is None or (flat.dtype, offsets.dtype) != (dtype, np.int64):
            raise DataError(f"{path}: expected {name!r} in it, as arrays of its own types, found others.")
        if len(offsets) != count + 1 or offsets[0] != 0 or offsets[-1] != len(flat) or _fall(offsets):
            raise DataError(f"{path}: expected {count} items of {name!r} one after another, found others.")
        columns[name] = Column(flat, offsets, _maker(kind, f"{path}: {name!r}"))
    if arrays:
        raise DataError(f"{path}: expected {', '.join(kinds)} in it, found {min(arrays)!r} too.")
    return columns


def restored(kind: Any, value: Any) -> Any:
    """A value that JSON has carried, as its type has it.

    Args:
      kind: bool, int, float, str, Any, None, or tuples, lists, dicts and mappings with names as keys, named
        tuples, dataclasses and unions of such types.
      value: what JSON gives.

    Raises:
      ValueError: it is of another type.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if kind in (bool, int, float, str, None, type(None)):
        if type(value) is kind or (kind in (None, type(None)) and value is None):
            return value
    elif origin in (tuple, list) and isinstance(value, list):
        if origin is list or parts[1:] == (...,):
            return origin(restored(parts[0], one) for one in value)
        return tuple(restored(part, one) for part, one in zip(parts, value, strict=True))
    elif origin in (dict, Mapping) and isinstance(value, dict):
        return {restored(parts[0], name): restored(parts[1], one) for name, one in value.items()}
    elif isinstance(kind, type) and hasattr(kind, "_fields") and isinstance(value, list):
        hints = get_type_hints(kind)
        return kind(*(restored(hints[name], one) for name, one in zip(kind._fields, value, strict=True)))
    elif dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        return kind(**{name: restored(hints[name], one) for name, one in value.items()})  # type: ignore[operator]
    elif origin in (Union, UnionType):
        for part in parts:
            try:
                return restored(part, value)
            except ValueError:
                continue
    raise ValueError(f"{value!r} is no {kind}")


def plain(value: Any) -> Any:
    """A value as JSON can carry it, from which `restored` makes it again."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _encoded(kind: Any, item: Any) -> np.ndarray:
    if kind is np.ndarray:
        return np.asarray(item, np.int32)
    text = item if kind is str else json.dumps(plain(item), ensure_ascii=False)
    return np.frombuffer(text.encode("utf-8"), np.uint8)


def _maker(kind: Any, where: str) -> Callable[[np.ndarray], Any]:
    if kind is np.ndarray:
        return lambda part: part

    def made(part: np.ndarray) -> Any:
        try:
            text = part.tobytes().decode("utf-8")
            return text if kind is str else restored(kind, json.loads(text))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: expected what was written, found {error}.") from None

    return made


def _mapped(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that safetensors has found to be sound, each a view of it."""
    data = np.asarray(np.memmap(path, np.uint8, "r"))
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8:start].tobytes())
    dtypes = {"I32": np.int32, "I64": np.int64, "U8": np.uint8}
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] in dtypes and len(entry["shape"]) == 1:
            begin, end = entry["data_offsets"]
            arrays[name] = data[start + begin : start + end].view(dtypes[entry["dtype"]])
    return arrays


def _fall(offsets: np.ndarray) -> bool:
    return bool((offsets[1:] < offsets[:-1]).any())
