"""Random T5s in transformers on torch, for comparison with ours; needs the `peers` extra."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM, PreTrainedModel


def write_random(raw: dict[str, Any], tied: bool, folder: Path, seed: int = 0) -> None:
    """Writes a folder as published ones are: transformers' initial values, or others for its 0s and 1s."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    sizes = {name: value for name, value in raw.items() if name != "model_type"}
    state = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(raw["model_type"], **sizes)).state_dict()
    weights = {name: value.numpy().copy() for name, value in state.items() if "embed_tokens" not in name}
    for name, value in weights.items():
        if "norm" in name:
            value += random.normal(size=value.shape, scale=0.2)
        elif "relative_attention_bias" in name or name == "lm_head.weight":
            value[:] = random.normal(size=value.shape)
    if tied:
        del weights["lm_head.weight"]
    (folder / "config.json").write_text(json.dumps(raw))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def load_torch(folder: Path) -> PreTrainedModel:
    """What transformers makes of a folder that holds every tensor; one built from a config ties its head.

    Version 5 scales every UMT5, whatever its config.json says; this one scales where the head is tied.
    """
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    if model.config.model_type == "umt5":
        model.config.tie_word_embeddings = model.lm_head.weight.data_ptr() == model.shared.weight.data_ptr()
    return model


def run_torch(model: PreTrainedModel, inputs: np.ndarray, targets: np.ndarray) -> Any:
    """The model's output for padded inputs, with the loss of padded targets."""
    ids, labels, padding = torch.tensor(inputs), torch.tensor(targets), model.config.pad_token_id
    return model(
        input_ids=ids,
        attention_mask=(ids != padding).long(),
        labels=labels.masked_fill(labels == padding, -100),
    )
