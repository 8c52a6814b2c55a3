"""The two T5s of the miniature world: their vocabulary of words, their shapes, and their pretraining."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from fiat_jax.checkpoints import huggingface
from fiat_jax.checkpoints.huggingface_export import write
from fiat_jax.data.vocabularies import Tokens, load_tokens
from fiat_jax.miniature.world import Row
from fiat_jax.models import T5, T5Config
from fiat_jax.training import AdamW
from fiat_jax.training.step import create_state, train_step
from fiat_jax.typing import Params

BATCH = 64
"""Lessons of a step."""

_COMMON: dict[str, Any] = {
    "gated": False,
    "activation": "relu",
    "tied": True,
    "scale_decoder_output": True,
    "dropout": 0.0,
    "dtype": "float32",
    "num_heads": 4,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
}
_SHAPES: dict[str, dict[str, Any]] = {
    "reasoner": dict(d_model=96, d_kv=24, d_ff=256),
    "tuned": dict(d_model=64, d_kv=16, d_ff=128),
}
"""The first T5's kind, without gates and with one matrix for embedding and head."""

_NEAR = {"encoder": (1, 2, 17, 18), "decoder": (1, 2)}
"""Buckets of distances, each for a head to start from: a word or two before, in the encoder also after."""


def write_vocabulary(folder: Path, texts: Iterable[str]) -> int:
    """Writes a tokenizer.json of all words and marks in some texts; returns how many ids it has."""
    split = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")])
    words = {piece for text in texts for piece, _ in split.pre_tokenize_str(text)}
    special = ["<pad>", "</s>", "<unk>"]
    ids = {word: number for number, word in enumerate([*special, *sorted(words)])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer, tokenizer.decoder = split, decoders.Metaspace()
    tokenizer.add_special_tokens([AddedToken(one, special=True) for one in special])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return len(ids)


def make_model(folder: Path, name: str, size: int) -> None:
    """Writes the T5 of a name with random weights, for a vocabulary of some size.

    They are T5's but for three things that make it quick to learn to find a word by the one before it, after
    the mimetic start of Trockman and Kolter (2023): a head each looks at the nearest words, what attention
    brings is the word itself, and an attention across looks for the word that it comes from.
    """
    config = T5Config(vocab_size=size, **_SHAPES[name], **_COMMON)
    tokens = jnp.ones((1, 1), jnp.int32)
    params: Any = nn.unbox(T5(config).init(jax.random.key(0), tokens, tokens)["params"])
    for stack, buckets in _NEAR.items():
        bias = params[stack]["relative_bias"]
        for head, bucket in enumerate(buckets):
            bias["embedding"] = bias["embedding"].at[bucket, head].set(5.0)
        layers = params[stack]["layers"]
        for attention in {"self_attention", "cross_attention"} & set(layers):
            _bring_words(layers[attention])
    across = params["decoder"]["layers"]["cross_attention"]
    across["query"]["kernel"] = across["key"]["kernel"] * config.d_kv**-0.5
    write(folder, config, params)


def _bring_words(attention: Params) -> None:
    """Lets the output projection undo that of the values, so far as random ones can."""
    attention["out"]["kernel"] = jnp.swapaxes(attention["value"]["kernel"], -1, -2)


def pretrain(folder: Path, lessons: Iterable[Row], steps: int) -> Iterator[float]:
    """Teaches the T5 of a folder by full fine-tuning, and writes it back at the end.

    Args:
      folder: config.json, model.safetensors and tokenizer.json.
      lessons: rows of 'text' and 'answer'.
      steps: updates, each on `BATCH` lessons.

    Yields:
      The loss of each step, in nats a token.
    """
    config, params = huggingface.load(folder, dtype="float32")
    tokens = load_tokens(str(folder))
    rows = [(row["text"], row["answer"]) for row in lessons]
    read, write_down = (_stacked(tokens, texts) for texts in zip(*rows, strict=True))
    state = create_state(T5(config, train=True), AdamW(learning_rate=3e-3), {"params": params}, steps)
    step, key, order = jax.jit(train_step, donate_argnums=0), jax.random.key(0), np.random.Philox(0)
    for _ in range(steps):
        chosen = order.random_raw(BATCH) % len(rows)
        targets = write_down[chosen]
        batch = {"inputs": read[chosen], "targets": targets, "weights": (targets != tokens.pad_id) * 1.0}
        state, metrics = step(state, {}, batch, key)
        yield float(metrics["loss"])
    write(folder, config, jax.device_get(state.learned["params"]))


def shrink_unread(folder: Path, lessons: Iterable[Row]) -> None:
    """Makes the embeddings of all words that no lesson has small, which tuning moves sooner."""
    config, params = huggingface.load(folder, dtype="float32")
    tokens = load_tokens(str(folder))
    read = {token for row in lessons for token in tokens.encode(f"{row['text']} {row['answer']}")}
    known = np.isin(np.arange(config.vocab_size), [tokens.pad_id, tokens.eos_id, *read])
    embedding = np.asarray(params["shared"]["embedding"])
    params["shared"]["embedding"] = np.where(known[:, None], embedding, embedding * np.float32(0.05))
    write(folder, config, params)


def _stacked(tokens: Tokens, texts: Iterable[str]) -> np.ndarray:
    """Token ids of texts, each with its end, padded to the longest: int32 [texts, tokens]."""
    rows = [[*tokens.encode(text), tokens.eos_id] for text in texts]
    stacked = np.full((len(rows), max(map(len, rows))), tokens.pad_id, np.int32)
    for row, ids in zip(stacked, rows, strict=True):
        row[: len(ids)] = ids
    return stacked
