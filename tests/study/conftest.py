"""A world small enough to tune on in seconds: random weights, bytes for a vocabulary, one fact an example."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fiat_jax.checkpoints.names import rows
from fiat_jax.cli import main
from fiat_jax.models import T5Config

CONFIG = {
    "model_type": "t5",
    "vocab_size": 384,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_heads": 2,
    "num_layers": 2,
    "feed_forward_proj": "gated-gelu",
    "dropout_rate": 0.1,
}
GIN = """
Experiment.adapter = @LoRA()
LoRA.rank = 4
Base.path = 'model'
Base.dtype = 'float32'
Task.name = 'world'
Task.vocabulary = 'byte'
Task.source = @Jsonl()
Task.languages = ('aa', 'bb')
Task.rationales = 'rationales.jsonl'
Task.inputs_length = 128
Task.targets_length = 16
Task.template = @Template()
Template.input = 'q: {question} c: {context}'
Template.instruction = 'Answer.'
Template.rationale = 'r: {rationale} {input}'
Jsonl.train = 'train.jsonl'
Jsonl.validation = 'validation.jsonl'
Jsonl.test = 'test.jsonl'
Tuning.optimizer = @AdamW()
Tuning.batch_size = 4
Tuning.steps = 12
Tuning.eval_every = 5
Tuning.save_every = 3
"""
SHORT = ("--gin.Tuning.steps=4", "--gin.Tuning.eval_every=0", "--gin.Tuning.save_every=0")


def write_jsonl(path: Path, values: list[dict]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def example(split: str, n: int) -> dict:
    answer = f"stone {n}"
    return {
        "id": f"{split}-{n}",
        "language": "ab"[n % 2] * 2,
        "question": f"what lies at {n}?",
        "context": f"at {n} lies {answer}. " + "sand " * (n % 5),
        "answer": answer,
    }


@pytest.fixture
def world(tmp_path, monkeypatch):
    """The working directory: model/, data, rationales and world.gin."""
    monkeypatch.chdir(tmp_path)
    write_world(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A world with a run of a few steps in it, `run`, for tests that only answer with it."""
    folder = tmp_path_factory.mktemp("trained")
    write_world(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "--gin_file", "world.gin", "--run_dir", "run", *SHORT]) == 0
    return folder


def write_world(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text(json.dumps(CONFIG))
    config, random = T5Config.from_hf(CONFIG, tied=False), np.random.default_rng(0)
    tensors = {
        name: random.normal(scale=0.3, size=row.their_shape(config)).astype(np.float32)
        for row in rows(config)
        for name in row.names(config)
    }
    save_file(tensors, folder / "model" / "model.safetensors")
    sizes = {"train": 18, "validation": 6, "test": 7}
    examples = {split: [example(split, n) for n in range(size)] for split, size in sizes.items()}
    for split, values in examples.items():
        write_jsonl(folder / f"{split}.jsonl", values)
    rationales = [
        {"id": e["id"], "rationale": f"it is {e['answer']}"} for es in examples.values() for e in es
    ]
    write_jsonl(folder / "rationales.jsonl", rationales)
    (folder / "world.gin").write_text(GIN)
