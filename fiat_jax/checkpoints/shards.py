"""Tensors written as a Hugging Face folder has them: one safetensors file, or several and an index."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from fiat_jax.records import write_whole

LIMIT = 5 * 10**9
"""Bytes of tensors in a file, as transformers writes them."""


def save_tensors(folder: Path, tensors: Iterable[tuple[str, np.ndarray]], limit: int = LIMIT) -> None:
    """Writes tensors, holding no more than a file's worth of them.

    Args:
      folder: is there, and holds no weights yet.
      tensors: by name, each once.
      limit: bytes of tensors in a file, unless one tensor alone is larger.
    """
    held: dict[str, np.ndarray] = {}
    files: list[list[str]] = []
    size = total = 0

    def part(number: int) -> Path:
        return folder / f"model-{number:05}.part"

    def flush() -> None:
        files.append(list(held))
        save_file(held, str(part(len(files))), metadata={"format": "pt"})
        held.clear()

    for name, array in tensors:
        if held and size + array.nbytes > limit:
            flush()
            size = 0
        held[name] = array
        size, total = size + array.nbytes, total + array.nbytes
    flush()
    if len(files) == 1:
        part(1).replace(folder / "model.safetensors")
        return
    index: dict[str, str] = {}
    for number, names in enumerate(files, start=1):
        file = f"model-{number:05}-of-{len(files):05}.safetensors"
        part(number).replace(folder / file)
        index |= dict.fromkeys(names, file)
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=2)
    write_whole(folder / "model.safetensors.index.json", text + "\n")
