"""Merged folders in transformers and CTranslate2: the logits and greedy tokens of base and adapter apart."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from checkpoints.random_adapters import random_weights
from peers.test_parity import SMALL, assert_close, our_run, their_run

from fiat_jax.adapters import IA3, DoRA, LoRA
from fiat_jax.checkpoints import huggingface, write_adapter
from fiat_jax.checkpoints.derived import write_like
from fiat_jax.decoding import generate
from fiat_jax.models import T5
from fiat_jax.study.merging import merge_folder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
ctranslate2 = pytest.importorskip("ctranslate2")
pytestmark = pytest.mark.peers

ADAPTERS = [LoRA(rank=3, alpha=5.0), LoRA(rank=3, alpha=2.0, rank_stabilised=True), DoRA(rank=3), IA3()]
VARIANTS = {
    "v1.0": dict(feed_forward_proj="relu", tie_word_embeddings=True),
    "v1.1": dict(),
    "mt5": dict(model_type="mt5"),
}
STEPS = 12


def write_vocabulary(folder, size):
    """A tokenizer whose words are w3, w4 and so on: 61 ids need no more to have names."""
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2} | {f"w{n}": n for n in range(3, size)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    special = dict(pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    settings = special | {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return list(words)


@pytest.fixture(params=VARIANTS)
def model(request, tmp_path):
    """A random T5 in a folder, its words, and inputs without padding."""
    from torch_t5 import write_random

    raw, folder = SMALL | VARIANTS[request.param], tmp_path / "model"
    folder.mkdir()
    write_random(raw, raw["tie_word_embeddings"], folder)
    words = write_vocabulary(folder, raw["vocab_size"])
    pretrained = huggingface.open_model(folder, dtype="float32")
    random = np.random.default_rng(1)
    inputs, targets = (random.integers(3, len(words), (3, length)) for length in (8, 6))
    return SimpleNamespace(
        folder=folder,
        words=words,
        config=pretrained.config,
        params=pretrained.params(learned=True),
        fingerprint=pretrained.fingerprint(),
        kind=f"{raw['model_type'].upper()}ForConditionalGeneration",
        inputs=inputs,
        targets=targets,
    )


@pytest.mark.parametrize("adapter", ADAPTERS, ids=["lora", "rslora", "dora", "ia3"])
def test_a_merged_folder_answers_in_transformers_and_ctranslate2_as_base_and_adapter_do(
    model, adapter, tmp_path
):
    weights = random_weights(adapter, model.config)
    folder, out = tmp_path / "adapter", tmp_path / "out"
    write_adapter(folder, adapter, weights, model.config, str(model.folder), model.fingerprint)
    merge_folder(str(model.folder), folder, out)

    variables = {"params": model.params, "adapter": weights}
    theirs = getattr(transformers, model.kind).from_pretrained(out).eval()
    assert theirs.dtype == torch.float32
    assert_close(our_run(model, variables, adapter), their_run(theirs, model).logits)

    converter = ctranslate2.converters.TransformersConverter(str(out))
    translator = ctranslate2.Translator(converter.convert(str(tmp_path / "ct2")), compute_type="float32")
    sentences = [[model.words[one] for one in row] for row in model.inputs]
    settings = dict(beam_size=1, max_decoding_length=STEPS, max_batch_size=1)
    found = [result.hypotheses[0] for result in translator.translate_batch(sentences, **settings)]
    answers = np.asarray(generate(T5(model.config, adapter), variables, model.inputs, STEPS))
    assert answers[:, 2:].any()
    for row, words in zip(answers, found, strict=True):
        ids = [one for one in row if one > 1]
        assert [model.words[one] for one in ids] == [word for word in words if word != "<pad>"]


def test_shards_are_loaded_by_transformers(model, tmp_path):
    write_like(tmp_path / "out", str(model.folder), model.config, model.params, limit=8000)
    assert (tmp_path / "out" / "model.safetensors.index.json").exists()
    theirs = getattr(transformers, model.kind).from_pretrained(tmp_path / "out").eval()
    assert_close(our_run(model, {"params": model.params}), their_run(theirs, model).logits)


def test_a_real_t5_with_an_adapter_merged_answers_the_same(real_t5, tmp_path):
    adapter, words = LoRA(rank=4, alpha=4.0), "translate English to German: The house is wonderful."
    pretrained = huggingface.open_model(real_t5, dtype="float32")
    weights = random_weights(adapter, pretrained.config)
    folder, out = tmp_path / "adapter", tmp_path / "out"
    write_adapter(folder, adapter, weights, pretrained.config, str(real_t5), pretrained.fingerprint())
    merged = merge_folder(str(real_t5), folder, out)
    assert merged.difference < 1e-4
    copied = {"tokenizer.json", "spiece.model", "tokenizer_config.json"} & set(os.listdir(real_t5))
    assert copied <= set(os.listdir(out))
    ids = tokenizers.Tokenizer.from_file(str(Path(out, "tokenizer.json"))).encode(words).ids
    pair = SimpleNamespace(inputs=np.array([ids]), targets=np.array([ids[:5]]), config=pretrained.config)
    theirs = transformers.T5ForConditionalGeneration.from_pretrained(out).eval()
    variables = {"params": pretrained.params(learned=True), "adapter": weights}
    assert_close(our_run(pair, variables, adapter), their_run(theirs, pair).logits)
