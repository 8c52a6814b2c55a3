"""T5 weights as a Hugging Face folder: config.json and model.safetensors, float32, one tensor a layer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from fiat_jax.checkpoints.names import rows
from fiat_jax.errors import ConfigError
from fiat_jax.models.config import T5Config
from fiat_jax.typing import Params

_FEED_FORWARD = {
    ("relu", False): "relu",
    ("gelu_new", True): "gated-gelu",
    ("silu", True): "gated-silu",
}


def write(folder: Path, config: T5Config, params: Params) -> None:
    """Writes a base so that `huggingface.load` gives the same config and, bit for bit, the same weights.

    Args:
      folder: made when absent; its vocabulary is the caller's to add.
      config: of the base.
      params: as `huggingface.load` gives them; arrays that the host can read.

    Raises:
      ConfigError: config.json has no words for such a config.
    """
    raw = _raw(config)
    computed = {name: getattr(config, name) for name in ("dtype", "remat")}
    if T5Config.from_hf(raw, tied=config.tied, **computed) != config:
        raise ConfigError(f"{folder}: expected a T5 that config.json can describe, found {config}.")
    tensors = dict(their_tensors(config, params))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})


def their_tensors(config: T5Config, params: Params) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors of a base by their names, float32, one made at a time."""
    flat = flatten_dict(params, sep="/")
    for row in rows(config):
        array = np.asarray(flat[row.path], np.float32)
        slots = array[None] if row.layers(config) is None else array
        for name, slot in zip(row.names(config), slots, strict=True):
            yield name, np.ascontiguousarray(slot.T if row.transposed else slot)


def _raw(config: T5Config) -> dict[str, Any]:
    kind = _model_type(config)
    return {
        "architectures": [f"{kind.upper()}ForConditionalGeneration"],
        "model_type": kind,
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "d_kv": config.d_kv,
        "d_ff": config.d_ff,
        "num_heads": config.num_heads,
        "num_layers": config.num_encoder_layers,
        "num_decoder_layers": config.num_decoder_layers,
        "relative_attention_num_buckets": config.relative_buckets,
        "relative_attention_max_distance": config.relative_max_distance,
        "layer_norm_epsilon": config.norm_epsilon,
        "dropout_rate": config.dropout,
        "feed_forward_proj": _FEED_FORWARD.get((config.activation, config.gated), ""),
        "tie_word_embeddings": config.scale_decoder_output if kind == "t5" else config.tied,
        "pad_token_id": config.pad_id,
        "eos_token_id": config.eos_id,
        "decoder_start_token_id": config.decoder_start_id,
    }


def _model_type(config: T5Config) -> str:
    """The class of transformers that computes as the config says: only an mT5 ties and does not scale."""
    if config.bias_in_each_layer:
        return "umt5"
    return "mt5" if config.tied and not config.scale_decoder_output else "t5"
