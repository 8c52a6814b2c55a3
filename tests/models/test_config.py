"""What a config takes from config.json, and what it refuses."""

import pytest

from fiat_jax.errors import ConfigError
from fiat_jax.models import T5Config

RAW = {
    "model_type": "t5",
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 1024,
    "num_heads": 6,
    "num_layers": 8,
}


def test_v1_0_is_read_as_relu_without_gate_and_scaled_when_tied():
    config = T5Config.from_hf(RAW, tied=True)
    assert (config.activation, config.gated, config.scale_decoder_output) == ("relu", False, True)
    assert config.num_decoder_layers == 8


def test_flan_is_read_as_gated_gelu_and_not_scaled():
    raw = {**RAW, "feed_forward_proj": "gated-gelu", "num_decoder_layers": 4, "tie_word_embeddings": False}
    config = T5Config.from_hf(raw, tied=False)
    assert (config.activation, config.gated, config.scale_decoder_output) == ("gelu_new", True, False)
    assert (config.num_encoder_layers, config.num_decoder_layers) == (8, 4)


@pytest.mark.parametrize(
    ("kind", "says", "tied", "scaled"),
    [
        ("t5", {}, True, True),
        ("t5", {"tie_word_embeddings": True}, False, True),
        ("t5", {"tie_word_embeddings": False}, True, False),
        ("t5", {"tie_word_embeddings": True, "scale_decoder_outputs": False}, False, False),
        ("mt5", {}, True, False),
        ("mt5", {"tie_word_embeddings": True}, False, False),
        ("umt5", {}, True, True),
        ("umt5", {"tie_word_embeddings": True}, False, False),
    ],
)
def test_what_is_scaled(kind, says, tied, scaled):
    config = T5Config.from_hf({**RAW, "model_type": kind, **says}, tied=tied)
    assert config.scale_decoder_output == scaled


def test_umt5_has_a_bias_in_each_layer_and_is_gated_by_default():
    config = T5Config.from_hf({**RAW, "model_type": "umt5"}, tied=False)
    assert (config.bias_in_each_layer, config.activation, config.gated) == (True, "gelu_new", True)
    assert not T5Config.from_hf({**RAW, "model_type": "mt5"}, tied=False).bias_in_each_layer


def test_ids_flow_from_config_json():
    raw = {**RAW, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 0}
    config = T5Config.from_hf(raw, tied=False)
    assert (config.pad_id, config.eos_id, config.decoder_start_id) == (1, 2, 0)


def test_what_config_json_says_of_tying_is_not_read():
    assert not T5Config.from_hf({**RAW, "tie_word_embeddings": True}, tied=False).tied


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "bert"}, "expected model_type t5, mt5 or umt5, found 'bert'"),
        ({"feed_forward_proj": "gated-tanh"}, "gated-tanh"),
        ({"d_model": None}, "d_model"),
        ({"eos_token_id": [1, 2]}, r"expected one eos_token_id, found \[1, 2\]"),
    ],
)
def test_what_is_not_supported_is_named(change, sentence):
    raw = {name: value for name, value in (RAW | change).items() if value is not None}
    with pytest.raises(ConfigError, match=sentence):
        T5Config.from_hf(raw, tied=True)


def test_float16_is_refused_with_the_remedy():
    with pytest.raises(ConfigError, match="use bfloat16"):
        T5Config.from_hf(RAW, tied=True, dtype="float16")
