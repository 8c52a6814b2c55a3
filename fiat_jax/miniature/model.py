"""The tiny T5 of the miniature world: a vocabulary of words, random weights, and their pretraining."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from fiat_jax.checkpoints import Base
from fiat_jax.checkpoints.huggingface_export import write
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.models import T5, T5Config
from fiat_jax.study.evaluation import best_weights
from fiat_jax.study.experiment import Experiment, assemble
from fiat_jax.study.tuning import Tuning, tune
from fiat_jax.training import AdamW

LENGTH = 64
"""Tokens of an input at most: one shape for all that is compiled."""


def write_vocabulary(folder: Path, texts: Iterable[str]) -> int:
    """Writes a tokenizer.json of all words and marks in some texts; returns how many ids it has."""
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


def make_model(folder: Path, size: int) -> None:
    """Writes the T5 with random weights, for a vocabulary of some size.

    They are T5's, but for two things that make copying quick to learn: positions weigh enough to be told
    apart from the first step, and the head is the embedding, scaled.
    """
    config = T5Config(
        vocab_size=size,
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_heads=4,
        num_encoder_layers=2,
        num_decoder_layers=2,
        dropout=0.0,
        dtype="float32",
    )
    tokens = jnp.ones((1, 1), jnp.int32)
    params: Any = nn.unbox(T5(config).init(jax.random.key(0), tokens, tokens)["params"])
    for stack in ("encoder", "decoder"):
        params[stack]["relative_bias"]["embedding"] *= 16.0
    params["lm_head"]["kernel"] = params["shared"]["embedding"].T * config.d_model**-0.5
    write(folder, config, params)


def pretrain(folder: Path, examples: Path, run_dir: Path, steps: int) -> None:
    """Teaches the T5 of a folder to copy what is marked in a text, by full fine-tuning, and writes it back.

    Args:
      folder: config.json, model.safetensors and tokenizer.json.
      examples: JSON lines with 'text' and 'answer'.
      run_dir: the run folder of this.
      steps: updates.
    """
    task = Task(
        name="copying",
        source=Jsonl(train=str(examples)),
        template=Template(input="{text}", instruction="", rationale="{rationale} {input}", cut="text"),
        vocabulary=str(folder),
        inputs_length=LENGTH,
    )
    experiment = Experiment(task, Base(str(folder), dtype="float32"), variant="plain", adapter=None)
    run_dir.mkdir(parents=True, exist_ok=True)
    tune(run_dir, experiment, Tuning(AdamW(learning_rate=3e-3), steps=steps, save_every=0))
    weights, _ = best_weights(run_dir, assemble(experiment, seed=0))
    write(folder, experiment.base.open().config, jax.device_get(weights["params"]))
