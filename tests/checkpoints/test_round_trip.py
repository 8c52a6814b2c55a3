"""Every variant of T5 from a Hugging Face folder to ours and back, bit for bit."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from published import MODELS
from safetensors.numpy import load_file, save_file

from fiat_jax.checkpoints import huggingface, huggingface_export
from fiat_jax.checkpoints.names import rows
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5Config

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = dict(vocab_size=19, d_model=6, d_kv=5, d_ff=7, num_heads=3, num_layers=2, num_decoder_layers=3)
ODD = {
    "T5 saved by transformers 5": {"tie_word_embeddings": True, "scale_decoder_outputs": False},
    "scaled with a head of its own": {"tie_word_embeddings": True},
    "other buckets, norm and dropout": {
        "tie_word_embeddings": False,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 20,
        "layer_norm_epsilon": 1e-5,
        "dropout_rate": 0.0,
        "decoder_start_token_id": 3,
    },
}
VARIANTS = {name: (raw | TINY, tied) for name, (raw, tied, _) in MODELS.items()}
VARIANTS |= {name: ({"model_type": "t5"} | raw | TINY, False) for name, raw in ODD.items()}
VARIANTS["mT5 without a head"] = (dict(model_type="mt5", **TINY), True)
VARIANTS["UMT5 without a head"] = (dict(model_type="umt5", **TINY), True)


@pytest.fixture(params=VARIANTS)
def folder(request, tmp_path):
    """A folder of random weights, with T5's defaults left out of config.json."""
    raw, tied = VARIANTS[request.param]
    raw = {"tie_word_embeddings": tied} | raw
    random, config = np.random.default_rng(0), T5Config.from_hf(raw, tied=tied)
    weights = {
        name: random.normal(size=row.their_shape(config)).astype(np.float32)
        for row in rows(config)
        for name in row.names(config)
    }
    (tmp_path / "config.json").write_text(json.dumps(raw))
    save_file(weights, tmp_path / "model.safetensors")
    return tmp_path


def assert_same_folder(one, other):
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert tensor.dtype == second[name].dtype and tensor.tobytes() == second[name].tobytes()
    read, written = (huggingface.load(folder) for folder in (one, other))
    assert read[0] == written[0]
    jax.tree.map(np.testing.assert_array_equal, read[1], written[1])
    kept, raw = (huggingface.read_config(folder) for folder in (one, other))
    said = {name for name in kept if name in raw} - {"model_type", "architectures", "tie_word_embeddings"}
    assert {name: kept[name] for name in said} == {name: raw[name] for name in said}


def test_every_variant_comes_back_bit_for_bit(folder, tmp_path):
    huggingface_export.write(tmp_path / "back", *huggingface.load(folder))
    assert_same_folder(folder, tmp_path / "back")


@pytest.mark.parametrize("name", sorted(path.parent.name for path in GOLDEN.glob("tiny_*/config.json")))
def test_golden_models_come_back_bit_for_bit(name, tmp_path):
    huggingface_export.write(tmp_path / "back", *huggingface.load(GOLDEN / name))
    assert_same_folder(GOLDEN / name, tmp_path / "back")


@pytest.mark.parametrize(
    "change",
    [
        dict(scale_decoder_output=True, bias_in_each_layer=True, tied=False),
        dict(scale_decoder_output=False, bias_in_each_layer=True, tied=True),
        dict(gated=False, activation="silu"),
    ],
    ids=str,
)
def test_what_config_json_has_no_words_for_is_refused(change, tmp_path):
    config, params = huggingface.load(GOLDEN / "tiny_gated")
    with pytest.raises(ConfigError, match=r"that config\.json can describe"):
        huggingface_export.write(tmp_path, replace(config, **change), params)
