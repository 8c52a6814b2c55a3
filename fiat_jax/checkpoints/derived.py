"""A Hugging Face folder made from another one: with other weights, and all else that it says of the model."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from fiat_jax.checkpoints.huggingface import find_folder, read_config
from fiat_jax.checkpoints.huggingface_export import their_tensors
from fiat_jax.checkpoints.shards import LIMIT, save_tensors
from fiat_jax.checkpoints.tensors import open_folder
from fiat_jax.errors import ConfigError
from fiat_jax.models.config import Dtype, T5Config
from fiat_jax.paths import local_writing
from fiat_jax.records import write_whole
from fiat_jax.typing import Params

_COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
    "generation_config.json",
)
_DTYPES = ("dtype", "torch_dtype")
_SHARED, _HEAD = "shared.weight", "lm_head.weight"


def check_new(folder: Path) -> None:
    """Makes sure that a folder may be written: what lies in it would be mixed with what is written.

    Raises:
      ConfigError: it holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: expected a new or empty folder to write to, found files; name another.")


def write_like(
    folder: Path, source: str, config: T5Config, params: Params, dtype: Dtype = "float32", limit: int = LIMIT
) -> None:
    """Writes weights as a Hugging Face folder, with the config.json and the vocabulary of the model's base.

    Args:
      folder: made when absent; new or empty.
      source: the folder or hub id of a model with the same config.
      config: of both.
      params: the weights; arrays that the host can read.
      dtype: of the weights in the file.
      limit: bytes of a file; more go to several and an index.

    Raises:
      ConfigError: the folder is not empty, or the source is not there.
    """
    check_new(folder)
    origin = find_folder(source)
    has_head = _HEAD in open_folder(origin)

    def tensors() -> Iterator[tuple[str, np.ndarray]]:
        for name, tensor in their_tensors(config, params):
            tensor = tensor.astype(jnp.dtype(dtype))
            yield name, tensor
            if name == _SHARED and config.tied and has_head:  # some files say it twice
                yield _HEAD, tensor

    with local_writing(folder) as place:
        save_tensors(place, tensors(), limit)
        for name in _COPIED:
            if (origin / name).is_file():
                shutil.copyfile(origin / name, place / name)
        raw = {name: value for name, value in read_config(origin).items() if name not in _DTYPES}
        write_whole(place / "config.json", json.dumps(raw | {"torch_dtype": dtype}, indent=2) + "\n")
