"""PEFT folders of adapters of a small model, and changes to them."""

import json

from adapters.small import CONFIG
from checkpoints.random_adapters import random_weights
from safetensors.numpy import load_file, save_file

from fiat_jax.checkpoints import read_adapter, write_adapter

MODEL = "base_model.model"
QUERIES = [f"{MODEL}.encoder.block.{layer}.layer.0.SelfAttention.q" for layer in range(2)]


def write(folder, adapter, fingerprint="0123456789abcdef"):
    weights = random_weights(adapter, CONFIG)
    write_adapter(folder, adapter, weights, CONFIG, "some/base", fingerprint)
    return weights


def read(folder, fingerprint="0123456789abcdef"):
    return read_adapter(folder, CONFIG, fingerprint)


def settings(folder):
    return json.loads((folder / "adapter_config.json").read_text())


def change(folder, tensors=None, **fields):
    """Rewrites a folder with fields and tensors changed; None takes one away, ... sets null."""
    raw = {name: value for name, value in (settings(folder) | fields).items() if value is not None}
    text = json.dumps({name: None if value is ... else value for name, value in raw.items()})
    (folder / "adapter_config.json").write_text(text)
    kept = load_file(folder / "adapter_model.safetensors") | (tensors or {})
    save_file({n: v for n, v in kept.items() if v is not None}, folder / "adapter_model.safetensors")


def layout(folder):
    """The shapes of a folder's tensors by their names."""
    return {name: value.shape for name, value in load_file(folder / "adapter_model.safetensors").items()}
