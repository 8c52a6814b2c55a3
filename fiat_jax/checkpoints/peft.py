"""Adapters in the layout of the PEFT library, which loads the folders written here.

`adapter_model.safetensors` holds `base_model.model.<module>.lora_A.weight` [R, in] and `lora_B.weight`
[out, R], the transposes of ours, one tensor a layer; `adapter_config.json` says how to apply them.
"""

import json
from pathlib import Path

import numpy as np
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from fiat_jax.adapters import LoRA
from fiat_jax.checkpoints.names import Row, rows
from fiat_jax.models.config import T5Config
from fiat_jax.typing import Params


def write_adapter(folder: Path, adapter: LoRA, weights: Params, config: T5Config, base: str) -> None:
    """Writes a LoRA adapter as a PEFT folder.

    Args:
      folder: made when absent.
      adapter: its settings.
      weights: the collection 'adapter', arrays that the host can read.
      config: the base's config.
      base: where the base came from, for PEFT to find it.
    """
    flat = flatten_dict(weights, sep="/")
    tensors: dict[str, np.ndarray] = {}
    adapted, others = [], []
    for row in rows(config):
        module = row.path.removesuffix("/kernel")
        if f"{module}/lora/a" in flat:
            adapted += _modules(row, config)
            tensors |= _tensors(row, config, flat[f"{module}/lora/a"], flat[f"{module}/lora/b"])
        elif row.path.endswith("/kernel"):
            others += _modules(row, config)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(folder / "adapter_model.safetensors"), metadata={"format": "pt"})
    settings = {
        "peft_type": "LORA",
        "task_type": "SEQ_2_SEQ_LM",
        "base_model_name_or_path": base,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "target_modules": _target_modules(adapted, others),
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
        "modules_to_save": None,
        "inference_mode": True,
    }
    text = json.dumps(settings, indent=2)
    (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")


def _modules(row: Row, config: T5Config) -> list[str]:
    return [name.removesuffix(".weight") for name in row.names(config)]


def _tensors(row: Row, config: T5Config, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    out = {}
    for layer, module in enumerate(_modules(row, config)):
        out[f"base_model.model.{module}.lora_A.weight"] = np.ascontiguousarray(np.asarray(a[layer]).T)
        out[f"base_model.model.{module}.lora_B.weight"] = np.ascontiguousarray(np.asarray(b[layer]).T)
    return out


def _target_modules(adapted: list[str], others: list[str]) -> list[str]:
    """The last parts of the adapted modules' names where they tell them from the others, else whole names."""
    short = {name.rsplit(".", 1)[-1] for name in adapted}
    return sorted(adapted if any(name.rsplit(".", 1)[-1] in short for name in others) else short)
