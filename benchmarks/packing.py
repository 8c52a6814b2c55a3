"""The files between preparing and running: token rows kept once, batches as numbers of rows, and a base."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fiat_jax.models import T5Config

if TYPE_CHECKING:
    from fiat_jax.data import TrainBatches

PARTS = 2
"""Files of the base, each small enough to travel alone."""


class Rows:
    """Rows of token ids, each kept once; ids are below 65536."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}

    def add(self, ids: np.ndarray) -> int:
        """The number of a row."""
        return self._places.setdefault(np.asarray(ids, np.uint16).tobytes(), len(self._places))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """All rows end to end, and their lengths."""
        every = [np.frombuffer(row, np.uint16) for row in self._places]
        return {
            f"{name}/flat": np.concatenate(every),
            f"{name}/lengths": np.array([len(row) for row in every], np.int32),
        }


def packed(
    name: str, batches: "TrainBatches", steps: int, inputs: Rows, targets: Rows
) -> dict[str, np.ndarray]:
    """The batches of a run: for each step and row, which input, which target, and what a token weighs."""
    rows: dict[str, list[Any]] = {"inputs": [], "targets": [], "weights": []}
    for step in range(steps):
        batch = batches.batch(step)
        for kind, table in (("inputs", inputs), ("targets", targets)):
            rows[kind].append([table.add(row[row != 0]) for row in batch[kind]])
        rows["weights"].append(batch["weights"][:, 0])
    dtypes = {"inputs": np.int32, "targets": np.int32, "weights": np.float32}
    return {f"train/{name}/{kind}": np.array(value, dtypes[kind]) for kind, value in rows.items()}


def padded(arrays: Any, name: str, width: int | None = None) -> np.ndarray:
    """The rows of a name [N, width] int32, filled with 0; by default as wide as the longest."""
    flat, lengths = arrays[f"{name}/flat"], arrays[f"{name}/lengths"]
    table = np.zeros((len(lengths), width or lengths.max()), np.int32)
    table[np.arange(table.shape[1]) < lengths[:, None]] = flat
    return table


def save_base(folder: Path, config: T5Config, params: dict[str, np.ndarray]) -> None:
    """Writes a base by path; an array of at most 256 values, as one that was in 8 bits, as codes of those."""
    (folder / "config.json").write_text(json.dumps(asdict(config)), encoding="utf-8")
    parts: list[dict[str, np.ndarray]] = [{} for _ in range(PARTS)]
    sizes = [0] * PARTS
    for path, array in sorted(params.items(), key=lambda one: -one[1].size):
        values = np.unique(array)
        at = sizes.index(min(sizes))
        if len(values) <= 256:
            codes = np.searchsorted(values, array).astype(np.uint8)
            parts[at] |= {f"{path}:values": values, f"{path}:codes": codes}
            sizes[at] += array.size
        else:
            parts[at][path] = array
            sizes[at] += array.nbytes
    for at, part in enumerate(parts):
        np.savez_compressed(folder / f"base{at}.npz", **part)


def load_base(folder: Path) -> tuple[T5Config, dict[str, np.ndarray]]:
    """A base as it was saved."""
    config = T5Config(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
    params: dict[str, np.ndarray] = {}
    for at in range(PARTS):
        with np.load(folder / f"base{at}.npz") as part:
            for name in part.files:
                path, _, kind = name.partition(":")
                if kind == "codes":
                    params[path] = part[f"{path}:values"][part[name]]
                elif not kind:
                    params[path] = part[name]
    return config, params
