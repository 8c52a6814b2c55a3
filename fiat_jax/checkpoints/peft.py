"""Adapters as folders in the layout of the PEFT library, which loads those written here.

`adapter_model.safetensors` holds the tensors of `peft_tensors`, and in its metadata, of which PEFT takes no
notice, the fingerprint of the base they were learned on; `adapter_config.json` holds the settings of
`peft_config`. PrefixTuning, which PEFT has only for decoders, is written in a layout of our own.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from safetensors.numpy import save_file

from fiat_jax.adapters import Learnable, SoftPrompt
from fiat_jax.checkpoints.peft_config import settings
from fiat_jax.checkpoints.peft_fields import Fields
from fiat_jax.checkpoints.peft_reading import prompt_rows, read_settings
from fiat_jax.checkpoints.peft_tensors import PROMPT, slots, to_ours, to_theirs
from fiat_jax.checkpoints.tensors import Tensor, open_file, some
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.models.config import T5Config
from fiat_jax.paths import local_copy, local_writing
from fiat_jax.records import write_whole
from fiat_jax.typing import Params

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_BASE = "base_model_name_or_path"
_FINGERPRINT = "fiat_jax.base"
_FLOATS = ("F32", "F16", "BF16")
_STARTS = ("lora_dropout", "prompt_tuning_init")
"""Settings that say nothing of what given weights compute."""

_log = logging.getLogger(__name__)


def write_adapter(
    folder: Path, adapter: Learnable, weights: Params, config: T5Config, base: str, fingerprint: str
) -> None:
    """Writes an adapter as a PEFT folder, its weights in float32.

    Args:
      folder: made when absent.
      adapter: its settings.
      weights: the collection 'adapter', arrays that the host can read.
      config: the base's config.
      base: where the base came from, for PEFT to find it.
      fingerprint: of the base; see `checkpoints.fingerprint`.
    """
    tensors = to_theirs(weights, slots(adapter, config))
    with local_writing(folder) as place:
        save_file(tensors, str(place / WEIGHTS), metadata={"format": "pt", _FINGERPRINT: fingerprint})
        raw = settings(adapter, config) | {_BASE: base}
        write_whole(place / CONFIG, json.dumps(raw, indent=2) + "\n")


def read_adapter(folder: Path, config: T5Config, fingerprint: str | None) -> tuple[Learnable, Params]:
    """Reads a folder that PEFT or `write_adapter` has written.

    Args:
      folder: with adapter_config.json and adapter_model.safetensors.
      config: of the base that the adapter is for.
      fingerprint: of that base, which must be the one the folder names, if it names one; None for any.

    Returns:
      The adapter's settings, and the collection 'adapter' as float32 numpy arrays.

    Raises:
      ConfigError: no such folder.
      DataError: it is broken, for another base, or what no adapter here can be.
    """
    fields, tensors = _open(folder)
    _check_base(fields, tensors, fingerprint)
    adapter = read_settings(fields, tensors, config)
    layout = slots(adapter, config)
    shapes = {name: slot.theirs for name, slot in layout.items()}
    if isinstance(adapter, SoftPrompt):
        shapes[PROMPT] = (prompt_rows(fields), config.d_model)
    _check_tensors(tensors, shapes, folder / WEIGHTS)
    return adapter, to_ours(tensors, layout)


def read_weights(folder: Path, adapter: Learnable, config: T5Config, fingerprint: str) -> Params:
    """The weights of a folder whose adapter is the given one. Other arguments and errors as `read_adapter`.

    Raises:
      ConfigError: the folder holds an adapter with other settings.
    """
    found, weights = read_adapter(folder, config, fingerprint)
    theirs, ours = settings(found, config), settings(adapter, config)
    names = [name for name in dict.fromkeys((*ours, *theirs)) if name not in _STARTS]
    differing = [name for name in names if theirs.get(name) != ours.get(name)]
    if differing:
        listed = "; ".join(f"{name} {theirs.get(name)!r} instead of {ours.get(name)!r}" for name in differing)
        raise ConfigError(
            f"{folder}: expected an adapter with the settings of Experiment.adapter, found {listed}; "
            "`fiat import` writes the settings of a folder as a configuration."
        )
    return weights


def _open(folder: Path) -> tuple[Fields, dict[str, Tensor]]:
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: expected a folder with {CONFIG} and {WEIGHTS}, found none; `fiat train` leaves one "
            "in its run folder when it ends, and `fiat export` writes one of a checkpoint."
        )
    folder = local_copy(folder)
    if not (folder / WEIGHTS).exists() and (folder / "adapter_model.bin").exists():
        raise DataError(
            f"{folder}: expected {WEIGHTS}, found adapter_model.bin, which may run code when opened; load it "
            "with peft where it can be trusted, and save it again."
        )
    fields, tensors = Fields.read(folder / CONFIG), open_file(folder / WEIGHTS)
    others = [f"{name} ({tensor.dtype})" for name, tensor in tensors.items() if tensor.dtype not in _FLOATS]
    if others:
        raise DataError(f"{folder / WEIGHTS}: expected {', '.join(_FLOATS)}, found {some(others)}.")
    return fields, tensors


def _check_base(fields: Fields, tensors: Mapping[str, Tensor], fingerprint: str | None) -> None:
    base = fields.take(_BASE, "", "text", lambda value: isinstance(value, str))
    metadata = next((tensor.file.metadata() for tensor in tensors.values()), None) or {}
    found = metadata.get(_FINGERPRINT)
    if found is None:
        _log.info("%s: for the base %r, as it says; it holds no fingerprint of it.", fields.path.parent, base)
    elif fingerprint is not None and found != fingerprint:
        raise DataError(
            f"{fields.path.parent}: expected an adapter for the base with the fingerprint {fingerprint}, "
            f"found one that was made for {base!r} with {found}; give the base that it was made for."
        )


def _check_tensors(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Names every tensor that is missing, unexpected or of another shape than the settings say."""
    found = {name: tensor.shape for name, tensor in tensors.items()}
    problems = {
        "missing": [name for name in shapes if name not in found],
        "unexpected": [name for name in found if name not in shapes],
        "of another shape": [
            f"{name} {list(found[name])} instead of {list(shape)}"
            for name, shape in shapes.items()
            if name in found and found[name] != shape
        ],
    }
    if any(problems.values()):
        listed = "; ".join(f"{kind}: {some(names)}" for kind, names in problems.items() if names)
        raise DataError(
            f"{path}: expected the tensors that {CONFIG} describes for this base, found {listed}."
        )
