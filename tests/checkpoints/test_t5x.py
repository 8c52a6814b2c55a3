"""t5x checkpoints, written here as t5x writes them: a msgpack index, and zarr for what is partitioned."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorstore
from flax import serialization
from flax.traverse_util import unflatten_dict

from fiat_jax.checkpoints import huggingface, huggingface_export, t5x
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.models import T5, T5Config

SIZES = dict(
    vocab_size=19, d_model=6, d_kv=5, d_ff=7, num_heads=3, num_encoder_layers=2, num_decoder_layers=3
)
V1_0 = T5Config(**SIZES, activation="relu", gated=False, tied=True, scale_decoder_output=True)
V1_1 = T5Config(**SIZES)
WO = "target.encoder.layers_1.mlp.wo.kernel"


def params_of(config):
    tokens = jnp.ones((1, 1), jnp.int32)
    shapes = nn.unbox(jax.eval_shape(T5(config).init, jax.random.key(0), tokens, tokens))["params"]
    random = np.random.default_rng(0)
    return jax.tree.map(lambda x: random.normal(size=x.shape).astype(np.float32), shapes)


def t5x_arrays(config, params):
    """The arrays by t5x's paths, spelt out."""
    arrays = {"token_embedder/embedding": params["shared"]["embedding"]}
    if not config.tied:
        arrays["decoder/logits_dense/kernel"] = params["lm_head"]["kernel"]
    for stack in ("encoder", "decoder"):
        ours = params[stack]
        arrays[f"{stack}/relpos_bias/rel_embedding"] = ours["relative_bias"]["embedding"].T
        arrays[f"{stack}/{stack}_norm/scale"] = ours["final_norm"]["scale"]
        attentions = {"self_attention": "attention"}
        norms = {"self_attention_norm": "pre_attention_layer_norm", "mlp_norm": "pre_mlp_layer_norm"}
        if stack == "decoder":
            attentions = {"self_attention": "self_attention", "cross_attention": "encoder_decoder_attention"}
            norms |= {
                "self_attention_norm": "pre_self_attention_layer_norm",
                "cross_attention_norm": "pre_cross_attention_layer_norm",
            }
        for layer in range(len(ours["layers"]["mlp_norm"]["scale"])):
            block = f"{stack}/layers_{layer}"
            for our, their in norms.items():
                arrays[f"{block}/{their}/scale"] = ours["layers"][our]["scale"][layer]
            for our, their in attentions.items():
                for part in ("query", "key", "value", "out"):
                    arrays[f"{block}/{their}/{part}/kernel"] = ours["layers"][our][part]["kernel"][layer]
            for part, kernel in ours["layers"]["mlp"].items():
                arrays[f"{block}/mlp/{part}/kernel"] = kernel["kernel"][layer]
    return arrays


def write_t5x(folder, arrays, dtype="float32"):
    folder.mkdir()
    target = {}
    for path, value in arrays.items():
        if value.ndim < 2:
            target[path] = value
            continue
        name = "target." + path.replace("/", ".")
        metadata = {"shape": value.shape, "chunks": [-(-n // 2) for n in value.shape]}
        metadata["compressor"] = {"id": "gzip", "level": 1}
        kvstore = {"driver": "file", "path": str(folder / name)}
        spec = {"driver": "zarr", "dtype": dtype, "kvstore": kvstore, "metadata": metadata}
        tensorstore.open(spec, create=True).result().write(value.astype(jnp.dtype(dtype))).result()
        target[path] = spec | {"kvstore": {"driver": "gfile", "path": name}}
    optimizer = {
        "target": unflatten_dict(target, sep="/"),
        "state": {"step": np.int32(7), "param_states": {}},
    }
    write_index(folder, {"version": 3, "optimizer": optimizer})


def write_index(folder, contents):
    (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(tuples_to_lists(contents)))


def tuples_to_lists(tree):
    if isinstance(tree, dict):
        return {name: tuples_to_lists(value) for name, value in tree.items()}
    return list(tree) if isinstance(tree, tuple) else tree


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoint_7"
    write_t5x(folder, t5x_arrays(V1_1, params_of(V1_1)))
    return folder


def changed(folder, change):
    contents = serialization.msgpack_restore((folder / "checkpoint").read_bytes())
    change(contents["optimizer"]["target"])
    write_index(folder, contents)
    return folder


@pytest.mark.parametrize("config", [V1_0, V1_1], ids=["v1.0", "v1.1"])
def test_a_checkpoint_is_read_bit_for_bit_and_becomes_a_hugging_face_folder(config, tmp_path):
    params = params_of(config)
    write_t5x(tmp_path / "checkpoint_7", t5x_arrays(config, params))
    found, loaded = t5x.load(tmp_path / "checkpoint_7")
    assert found == config
    jax.tree.map(np.testing.assert_array_equal, loaded, params)
    huggingface_export.write(tmp_path / "hf", found, loaded)
    jax.tree.map(np.testing.assert_array_equal, huggingface.load(tmp_path / "hf")[1], params)


def test_bfloat16_is_read_as_float32_and_settings_stand_over_the_arrays(tmp_path):
    params = params_of(V1_1)
    write_t5x(tmp_path / "checkpoint_7", t5x_arrays(V1_1, params), "bfloat16")
    config, loaded = t5x.load(tmp_path / "checkpoint_7", activation="silu", dropout=0.0)
    assert (config.activation, config.dropout) == ("silu", 0.0)
    expected = params["shared"]["embedding"].astype(jnp.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(loaded["shared"]["embedding"], expected)


def test_a_folder_without_an_index_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="with a file 'checkpoint' in it"):
        t5x.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, serialization.msgpack_serialize({"a": 1})])
def test_an_index_that_is_not_one_is_refused(checkpoint, content):
    (checkpoint / "checkpoint").write_bytes(content)
    with pytest.raises(DataError, match="expected a t5x checkpoint"):
        t5x.load(checkpoint)


@pytest.mark.parametrize("link", [WO, f"{WO}/0.0"])
def test_a_link_is_refused(checkpoint, tmp_path, link):
    (checkpoint / link).rename(tmp_path / "elsewhere")
    (checkpoint / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"{link}: expected a checkpoint without links"):
        t5x.load(checkpoint)


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "..", "not.there"])
def test_a_place_outside_the_folder_is_refused(checkpoint, tmp_path, path):
    (checkpoint / WO).rename(tmp_path / "elsewhere")

    def elsewhere(target):
        target["encoder"]["layers_1"]["mlp"]["wo"]["kernel"]["kvstore"]["path"] = path

    with pytest.raises(DataError, match="a zarr array in a folder beside"):
        t5x.load(changed(checkpoint, elsewhere))


@pytest.mark.parametrize("change", [{"shape": [10**9, 10**9]}, {"chunks": [10**9, 10**9]}])
def test_an_array_that_its_files_cannot_hold_is_refused(checkpoint, change):
    path = checkpoint / WO / ".zarray"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match="expected files of an array"):
        t5x.load(checkpoint)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda target: target["decoder"]["layers_2"].pop("mlp"), "decoder/layers_2"),
        (
            lambda target: target["encoder"].update(adapter={"scale": np.ones(3, np.float32)}),
            "encoder/adapter",
        ),
        (
            lambda target: target["encoder"]["encoder_norm"].update(scale=np.ones(3, np.float32)),
            "encoder_norm",
        ),
        (lambda target: target["encoder"]["encoder_norm"].update(scale=np.ones(6, np.int32)), "of int32"),
        (lambda target: target["encoder"].pop("relpos_bias"), r"rel_embedding \[\]"),
    ],
)
def test_arrays_that_are_not_those_of_a_t5_are_named(checkpoint, change, said):
    with pytest.raises(DataError, match=said):
        t5x.load(changed(checkpoint, change))
