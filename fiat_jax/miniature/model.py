"""The tiny T5 of the miniature world: a word-level vocabulary, random weights, and their pretraining."""

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fiat_jax.adapters import LoRA
from fiat_jax.checkpoints import Base, CheckpointStore
from fiat_jax.checkpoints.huggingface_export import write
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.models import T5, T5Config
from fiat_jax.study.experiment import Experiment, assemble
from fiat_jax.study.tuning import Tuning, restore_learned, tune
from fiat_jax.training import AdamW
from fiat_jax.typing import Params

SIZES = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_heads": 4, "num_encoder_layers": 2, "num_decoder_layers": 2}


def write_vocabulary(folder: Path, texts: Iterable[str]) -> int:
    """Writes a tokenizer.json of all words and marks in some texts; returns how many ids it has."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    split = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")])
    words = {piece for text in texts for piece, _ in split.pre_tokenize_str(text)}
    special = ["<pad>", "</s>", "<unk>"]
    ids = {word: number for number, word in enumerate([*special, *sorted(words)])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = split, decoders.Metaspace()
    tokenizer.add_special_tokens([AddedToken(one, special=True) for one in special])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return len(ids)


def random_weights(config: T5Config, seed: int = 0) -> Params:
    """Weights to start from: T5's, but for two things that make copying quick to learn.

    Positions weigh enough to be told apart from the first step, and the head is a scaled embedding.
    """
    tokens = jnp.ones((1, 1), jnp.int32)
    params: Any = nn.unbox(T5(config).init(jax.random.key(seed), tokens, tokens)["params"])
    for stack in ("encoder", "decoder"):
        params[stack]["relative_bias"]["embedding"] *= 16.0
    params["lm_head"]["kernel"] = params["shared"]["embedding"].T * config.d_model**-0.5
    return jax.tree.map(np.asarray, params)


def pretrain(folder: Path, examples: Path, tuning: Tuning) -> None:
    """Teaches the T5 in a folder to copy what is marked, by full fine-tuning, and writes it back.

    Args:
      folder: with config.json, model.safetensors and tokenizer.json.
      examples: JSON lines with 'text' and 'answer'.
      tuning: how long and how fast.
    """
    task = Task(
        name="copying",
        source=Jsonl(train=str(examples)),
        template=Template(input="{text}", cut="text"),
        vocabulary=str(folder),
        inputs_length=64,
    )
    experiment = Experiment(task, Base(str(folder), dtype="float32"), variant="plain", adapter=None)
    run_dir = folder / "pretraining"
    run_dir.mkdir(parents=True, exist_ok=True)
    tune(run_dir, experiment, tuning)
    network = assemble(experiment, tuning.seed)
    store = CheckpointStore(run_dir / "checkpoints")
    ...
