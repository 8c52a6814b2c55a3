import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import load_file, save_file

from fiat_jax.checkpoints import huggingface
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.models import T5

GOLDEN = Path(__file__).parents[1] / "golden"
GATED, RELU = GOLDEN / "tiny_gated", GOLDEN / "tiny_relu"
HEAD, SHARED = "lm_head.weight", "shared.weight"
WO = "encoder.block.0.layer.1.DenseReluDense.wo.weight"


@pytest.fixture
def write(tmp_path):
    """Writes a copy of a golden folder with tensors and config fields changed; None takes one away."""

    def change(golden=GATED, config=None, **changes):
        raw = huggingface.read_config(golden) | (config or {})
        weights = load_file(golden / "model.safetensors") | changes
        (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in raw.items() if v is not None}))
        save_file({k: v for k, v in weights.items() if v is not None}, tmp_path / "model.safetensors")
        return tmp_path

    return change


def shapes(tree):
    return jax.tree.map(jnp.shape, tree)


@pytest.mark.parametrize("folder", [GATED, RELU], ids=lambda folder: folder.name)
def test_the_tree_is_the_one_the_model_declares(folder):
    config, params = huggingface.load(folder)
    tokens = jnp.zeros((1, 2), jnp.int32)
    declared = jax.eval_shape(T5(config).init, jax.random.key(0), tokens, tokens)
    assert shapes(params) == shapes(nn.unbox(declared["params"]))
    assert {array.dtype for array in jax.tree.leaves(params)} == {np.dtype("float32")}


def test_layers_are_stacked_in_order_and_kernels_transposed():
    _, params = huggingface.load(GATED)
    theirs, ours = load_file(GATED / "model.safetensors"), flatten_dict(params, sep="/")
    for layer in range(2):
        key = theirs[f"decoder.block.{layer}.layer.1.EncDecAttention.k.weight"]
        norm = theirs[f"decoder.block.{layer}.layer.2.layer_norm.weight"]
        np.testing.assert_array_equal(ours["decoder/layers/cross_attention/key/kernel"][layer], key.T)
        np.testing.assert_array_equal(ours["decoder/layers/mlp_norm/scale"][layer], norm)
    np.testing.assert_array_equal(ours["lm_head/kernel"], theirs[HEAD].T)
    np.testing.assert_array_equal(ours["shared/embedding"], theirs[SHARED])


def test_every_value_of_the_file_is_in_the_tree_once():
    _, params = huggingface.load(GATED)
    theirs = np.concatenate([value.ravel() for value in load_file(GATED / "model.safetensors").values()])
    ours = np.concatenate([value.ravel() for value in jax.tree.leaves(params)])
    np.testing.assert_array_equal(np.sort(ours), np.sort(theirs))


def test_shards_give_what_one_file_gives(tmp_path):
    weights = load_file(GATED / "model.safetensors")
    shards = {
        "model-00001-of-00002.safetensors": sorted(weights)[::2],
        "model-00002-of-00002.safetensors": sorted(weights)[1::2],
    }
    for shard, names in shards.items():
        save_file({name: weights[name] for name in names}, tmp_path / shard)
    index = {name: shard for shard, names in shards.items() for name in names}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    shutil.copy(GATED / "config.json", tmp_path)
    jax.tree.map(np.testing.assert_array_equal, huggingface.load(tmp_path), huggingface.load(GATED))

    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(DataError, match="model-00002-of-00002"):
        huggingface.load(tmp_path)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float64])
def test_weights_stored_in_another_float_are_read_as_float32(write, dtype):
    weights = {name: value.astype(dtype) for name, value in load_file(GATED / "model.safetensors").items()}
    _, params = huggingface.load(write(**weights))
    expected = weights[SHARED].astype(np.float32)
    np.testing.assert_array_equal(params["shared"]["embedding"], expected)
    assert params["shared"]["embedding"].dtype == np.float32


def test_settings_stand_over_config_json():
    config = huggingface.load_config(GATED, dtype="float32", dropout=0.0)
    assert (config.dtype, config.dropout, config.d_kv) == ("float32", 0.0, 6)
    assert config == huggingface.load(GATED, dtype="float32", dropout=0.0)[0]


# Tying is what the tensors say.


def test_a_head_that_differs_is_kept_whatever_the_config_says(write):
    config, params = huggingface.load(write(config={"tie_word_embeddings": True}))
    assert not config.tied and "lm_head" in params


@pytest.mark.parametrize("says", [True, False, None])
def test_a_head_equal_to_the_embedding_is_tied_whatever_the_config_says(write, says):
    shared = load_file(GATED / "model.safetensors")[SHARED]
    config, params = huggingface.load(write(config={"tie_word_embeddings": says}, **{HEAD: shared}))
    assert config.tied and "lm_head" not in params


@pytest.mark.parametrize("says", [True, None])
def test_a_head_that_is_absent_is_tied(write, says):
    config, params = huggingface.load(write(RELU, {"tie_word_embeddings": says}))
    assert config.tied and "lm_head" not in params


def test_a_head_that_was_lost_is_refused(write):
    with pytest.raises(DataError, match=r"holds no lm_head\.weight"):
        huggingface.load(write(**{HEAD: None}))


# What else published files hold.


def test_an_embedding_under_another_name_is_found(write):
    shared = load_file(GATED / "model.safetensors")[SHARED]
    folder = write(
        **{SHARED: None, "encoder.embed_tokens.weight": shared, "decoder.embed_tokens.weight": shared}
    )
    jax.tree.map(np.testing.assert_array_equal, huggingface.load(folder), huggingface.load(GATED))


def test_embeddings_that_differ_are_refused(write):
    shared = load_file(GATED / "model.safetensors")[SHARED]
    with pytest.raises(DataError, match=r"decoder\.embed_tokens\.weight that differs from shared\.weight"):
        huggingface.load(write(**{"decoder.embed_tokens.weight": shared + 1}))


def test_the_bias_that_no_t5_reads_is_passed_over(write):
    bias = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    folder = write(RELU, **{bias: np.zeros((32, 4), np.float32)})
    jax.tree.map(np.testing.assert_array_equal, huggingface.load(folder), huggingface.load(RELU))


# What is refused, before anything is allocated.


def test_every_tensor_that_disagrees_is_named_in_one_error(write):
    folder = write(
        **{
            SHARED: np.zeros((7, 32), np.float32),
            WO: None,
            "extra": np.zeros(3, np.float32),
            "also": np.zeros(3, np.float32),
        }
    )
    with pytest.raises(DataError) as error:
        huggingface.load(folder)
    message = str(error.value)
    assert f"missing: {WO}" in message
    assert "unexpected: also, extra" in message
    assert f"{SHARED} (7, 32) instead of (128, 32)" in message


@pytest.mark.parametrize("field", ["d_ff", "vocab_size", "num_layers", "num_decoder_layers"])
def test_a_config_larger_than_memory_is_refused_by_its_shapes(write, field):
    with pytest.raises(DataError, match="10000000000000"):
        huggingface.load(write(config={field: 10**13}))


def test_a_folder_of_pickles_is_refused_and_told_how_to_convert(tmp_path):
    shutil.copy(GATED / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(DataError, match=r"pytorch_model\.bin.*save_file.*weights_only=True"):
        huggingface.load(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    shutil.copy(GATED / "config.json", tmp_path)
    with pytest.raises(DataError, match=r"expected model\.safetensors.*found config\.json"):
        huggingface.load(tmp_path)


def test_quantised_weights_are_refused(write):
    with pytest.raises(DataError, match=r"found .*wo\.weight \(I8 \[32, 36\]\)"):
        huggingface.load(write(**{WO: np.zeros((32, 36), np.int8)}))


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x80\x02}q\x00."])
def test_a_file_that_is_not_safetensors_is_refused(write, content):
    folder = write()
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="expected a safetensors file"):
        huggingface.load(folder)


@pytest.mark.parametrize(
    "index",
    [
        "[]",
        '{"weight_map": {}}',
        '{"weight_map": ["a"]}',
        '{"weight_map": {"a": 1}}',
        '{"weight_map": {"a": "../model.safetensors"}}',
        "{",
    ],
)
def test_a_broken_or_straying_index_is_refused(tmp_path, index):
    shutil.copy(GATED / "config.json", tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(DataError, match="expected a 'weight_map'"):
        huggingface.load(tmp_path)


def test_an_index_that_names_more_than_its_shards_hold_is_refused(write):
    folder = write()
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    index = {"weight_map": {SHARED: "a.safetensors", "not.there": "a.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=r"not\.there in a\.safetensors"):
        huggingface.load(folder)


@pytest.mark.parametrize("kind", ["longt5", "bart", None])
def test_a_model_of_another_type_is_refused(write, kind):
    with pytest.raises(ConfigError, match=f"expected model_type t5, mt5 or umt5, found {kind!r}"):
        huggingface.load(write(config={"model_type": kind}))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("{", "broken JSON"), ("[]", "found list")]
)
def test_a_config_that_is_not_one_is_refused(tmp_path, content, said):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=said):
        huggingface.load(tmp_path)


@pytest.mark.parametrize("source", ["/not/there", "./not-there", "a/b/c", GATED / "config.json"])
def test_a_path_that_is_no_folder_is_refused(source):
    with pytest.raises(ConfigError, match="expected a folder"):
        huggingface.load(source)


# The hub.


def offline(source, home):
    """Loads in a process of its own that may not reach the hub; huggingface_hub reads its settings once."""
    script = f"from fiat_jax.checkpoints import huggingface; print(huggingface.load_config({source!r}).d_kv)"
    env = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "JAX_PLATFORMS": "cpu"}
    return subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)


def test_a_hub_id_is_read_from_the_cache_when_offline(tmp_path):
    model = tmp_path / "hub/models--owner--tiny"
    shutil.copytree(GATED, model / "snapshots/0123abc")
    (model / "refs").mkdir()
    (model / "refs/main").write_text("0123abc")
    assert offline("owner/tiny", tmp_path).stdout == "6\n"


def test_a_hub_id_that_is_not_in_the_cache_is_explained_when_offline(tmp_path):
    message = offline("owner/tiny", tmp_path).stderr.splitlines()[-1]
    assert "owner/tiny" in message and "HF_HUB_OFFLINE" in message and "HF_HOME" in message


def test_only_what_is_read_is_downloaded(monkeypatch):
    asked = {}

    def download(hub_id, allow_patterns):
        asked[hub_id] = allow_patterns
        return str(GATED)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert huggingface.load_config("owner/tiny").d_kv == 6
    assert set(asked["owner/tiny"]) == {
        "config.json",
        "*.safetensors",
        "*.index.json",
        "tokenizer*.json",
        "special_tokens_map.json",
        "spiece.model",
        "generation_config.json",
    }
