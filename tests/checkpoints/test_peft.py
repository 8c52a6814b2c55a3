"""PEFT folders: their layout as literals, and round trips; the peers tests ask PEFT."""

import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.small import CONFIG, start
from checkpoints.peft_folders import MODEL, QUERIES, change, layout, read, settings, write
from safetensors import safe_open
from safetensors.numpy import load_file

from fiat_jax.adapters import IA3, DoRA, LoRA, PrefixTuning, SoftPrompt
from fiat_jax.checkpoints import read_weights, write_adapter
from fiat_jax.checkpoints.peft_tensors import places, slots
from fiat_jax.errors import ConfigError, DataError

FEED_FORWARD = [
    f"{MODEL}.encoder.block.0.layer.1.DenseReluDense",
    f"{MODEL}.encoder.block.1.layer.1.DenseReluDense",
    f"{MODEL}.decoder.block.0.layer.2.DenseReluDense",
]
COMMON = {"task_type": "SEQ_2_SEQ_LM", "inference_mode": True, "modules_to_save": None}
ADAPTERS = {
    "lora": LoRA(rank=4, alpha=8.0, dropout=0.1),
    "rslora": LoRA(rank=4, alpha=2.0, rank_stabilised=True, targets=(".*/(query|value)",)),
    "lora of some ranks": LoRA(rank=4, ranks=((".*/wo", 2), ("decoder/.*", 3)), alphas=((".*/wi_.*", 1.5),)),
    "dora": DoRA(rank=4, alpha=8.0, targets=("encoder/.*",)),
    "ia3": IA3(),
    "ia3 of other inputs": IA3(targets=(".*/(out|wo)",), inputs=("encoder/.*/out",)),
    "soft prompt": SoftPrompt(length=16),
    "prefix": PrefixTuning(length=3, targets=("encoder/.*", ".*/cross_attention")),
}
every_kind = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS.keys())


def test_the_layout_of_lora_with_ranks_and_alphas(tmp_path):
    targets, ranks = ("encoder/.*/query", ".*/wo"), ((".*/wo", 2),)
    adapter = LoRA(targets, 3, 5.0, 0.25, ranks=ranks, alphas=(("decoder/.*", 4.5),))
    weights = write(tmp_path, adapter)
    assert settings(tmp_path) == COMMON | {
        "peft_type": "LORA",
        "base_model_name_or_path": "some/base",
        "r": 3,
        "lora_alpha": 5.0,
        "lora_dropout": 0.25,
        "rank_pattern": {"wo": 2},
        "alpha_pattern": {"decoder.block.0.layer.2.DenseReluDense.wo": 4.5},
        "target_modules": [
            "decoder.block.0.layer.2.DenseReluDense.wo",
            "encoder.block.0.layer.0.SelfAttention.q",
            "encoder.block.0.layer.1.DenseReluDense.wo",
            "encoder.block.1.layer.0.SelfAttention.q",
            "encoder.block.1.layer.1.DenseReluDense.wo",
        ],
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
    }
    assert layout(tmp_path) == {
        **{f"{module}.lora_A.weight": (3, 16) for module in QUERIES},
        **{f"{module}.lora_B.weight": (8, 3) for module in QUERIES},
        **{f"{module}.wo.lora_A.weight": (2, 24) for module in FEED_FORWARD},
        **{f"{module}.wo.lora_B.weight": (16, 2) for module in FEED_FORWARD},
    }
    ours = weights["encoder"]["layers"]["mlp"]["wo"]["lora"]
    theirs = load_file(tmp_path / "adapter_model.safetensors")
    np.testing.assert_array_equal(theirs[f"{FEED_FORWARD[1]}.wo.lora_A.weight"], ours["a"][1].T)
    np.testing.assert_array_equal(theirs[f"{FEED_FORWARD[1]}.wo.lora_B.weight"], ours["b"][1].T)


def test_the_layout_of_dora(tmp_path):
    weights = write(tmp_path, DoRA(("encoder/.*/query",), 2, 8.0, rank_stabilised=True))
    found = settings(tmp_path)
    assert (found["use_dora"], found["use_rslora"], found["r"], found["lora_alpha"]) == (True, True, 2, 8.0)
    assert layout(tmp_path) == {
        **{f"{module}.lora_A.weight": (2, 16) for module in QUERIES},
        **{f"{module}.lora_B.weight": (8, 2) for module in QUERIES},
        **{f"{module}.lora_magnitude_vector": (8,) for module in QUERIES},
    }
    theirs = load_file(tmp_path / "adapter_model.safetensors")[f"{QUERIES[1]}.lora_magnitude_vector"]
    ours = weights["encoder"]["layers"]["self_attention"]["query"]["lora"]["magnitude"]
    np.testing.assert_array_equal(theirs, ours[1])


def test_the_layout_of_ia3(tmp_path):
    write(tmp_path, IA3((".*/key", ".*/wo")))
    assert settings(tmp_path) == COMMON | {
        "peft_type": "IA3",
        "base_model_name_or_path": "some/base",
        "target_modules": ["k", "wo"],
        "feedforward_modules": ["wo"],
        "fan_in_fan_out": False,
    }
    attention = [f"encoder.block.{layer}.layer.0.SelfAttention" for layer in range(2)]
    attention += ["decoder.block.0.layer.0.SelfAttention", "decoder.block.0.layer.1.EncDecAttention"]
    assert layout(tmp_path) == {
        **{f"{MODEL}.{module}.k.ia3_l": (8, 1) for module in attention},
        **{f"{module}.wo.ia3_l": (1, 24) for module in FEED_FORWARD},
    }


def test_peft_would_take_o_for_wo_so_whole_names_are_written(tmp_path):
    write(tmp_path, IA3((".*/out", ".*/wo"), inputs=(".*/out",)))
    found = settings(tmp_path)
    assert "encoder.block.1.layer.0.SelfAttention.o" in found["feedforward_modules"]
    assert set(found["feedforward_modules"]) < set(found["target_modules"])
    assert not any(name.endswith("wo") for name in found["feedforward_modules"])


def test_the_layout_of_a_soft_prompt(tmp_path):
    weights = write(tmp_path, SoftPrompt(length=16, start="labels", labels=("yes", "no")))
    assert settings(tmp_path) == COMMON | {
        "peft_type": "PROMPT_TUNING",
        "base_model_name_or_path": "some/base",
        "num_virtual_tokens": 16,
        "num_transformer_submodules": 1,
        "token_dim": 16,
        "num_attention_heads": 2,
        "num_layers": 2,
        "prompt_tuning_init": "SAMPLE_VOCAB",
    }
    theirs = load_file(tmp_path / "adapter_model.safetensors")
    assert list(theirs) == ["prompt_embeddings"]
    np.testing.assert_array_equal(theirs["prompt_embeddings"], weights["soft_prompt"]["prompt"])


def test_the_layout_of_prefixes_is_our_own(tmp_path):
    write(tmp_path, ADAPTERS["prefix"])
    assert settings(tmp_path) == {
        "fiat_jax": "PrefixTuning",
        "base_model_name_or_path": "some/base",
        "length": 3,
        "targets": ["encoder/layers/self_attention", "decoder/layers/cross_attention"],
    }
    assert layout(tmp_path) == {
        f"{path}/prefix/{name}": (layers, 3, 8)
        for path, layers in (("encoder/layers/self_attention", 2), ("decoder/layers/cross_attention", 1))
        for name in ("key", "value")
    }


@every_kind
def test_ours_to_theirs_to_ours_is_the_same_bit_for_bit(tmp_path, adapter):
    weights = write(tmp_path / "one", adapter)
    found, again = read(tmp_path / "one")
    jax.tree.map(np.testing.assert_array_equal, again, weights)
    assert {leaf.dtype for leaf in jax.tree.leaves(again)} == {np.dtype("float32")}
    assert type(found) is type(adapter)
    assert slots(found, CONFIG) == slots(adapter, CONFIG)
    if isinstance(adapter, LoRA):
        assert found.dropout == adapter.dropout
        for place in places(CONFIG):
            assert found.adapts(place.path) == adapter.adapts(place.path)
            assert not adapter.adapts(place.path) or found.scale(place.path) == adapter.scale(place.path)
    write_adapter(tmp_path / "two", found, again, CONFIG, "some/base", "0123456789abcdef")
    assert settings(tmp_path / "two") == settings(tmp_path / "one")
    one, two = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("one", "two"))
    assert list(one) == list(two)
    jax.tree.map(np.testing.assert_array_equal, one, two)


@every_kind
def test_what_is_read_is_the_tree_that_a_model_has(tmp_path, adapter):
    write(tmp_path, adapter)
    expected = start(adapter)["adapter"]
    assert jax.tree.map(jnp.shape, read(tmp_path)[1]) == jax.tree.map(jnp.shape, expected)


@every_kind
def test_a_file_is_as_large_as_its_parameters_and_a_header(tmp_path, adapter):
    weights = write(tmp_path, adapter)
    path = tmp_path / "adapter_model.safetensors"
    (header,) = struct.unpack("<Q", path.read_bytes()[:8])
    assert path.stat().st_size == 8 + header + sum(leaf.nbytes for leaf in jax.tree.leaves(weights))


@pytest.mark.parametrize("targets", ["all-linear", r".*\.(q|k|v|o|wo|wi_\d)", ["q", "wo"], ...], ids=str)
def test_what_is_adapted_is_what_has_tensors_however_target_modules_says_it(tmp_path, targets):
    weights = write(tmp_path, LoRA((".*/(query|wo)",), 3))
    change(tmp_path, target_modules=targets)
    found, again = read(tmp_path)
    assert found == LoRA((".*/query", ".*/wo"), 3)
    jax.tree.map(np.testing.assert_array_equal, again, weights)


def test_pattern_fields_are_regular_expressions_for_the_end_of_a_module_name(tmp_path):
    write(tmp_path, LoRA((".*/(query|key|wo)",), 3, 6.0, ranks=((".*/wo", 2),)))
    patterns = {r"decoder.*\.q": 1, r"EncDecAttention\.(q|k)": 2, "k": 4, "o": 7}
    change(tmp_path, alpha_pattern=patterns, rank_pattern={"wo": 2})
    found, _ = read(tmp_path)
    alphas = {place.path: found.alpha_of(place.path) for place in places(CONFIG) if found.adapts(place.path)}
    assert alphas == {
        "encoder/layers/self_attention/query": 6.0,
        "encoder/layers/self_attention/key": 4.0,
        "encoder/layers/mlp/wo": 6.0,
        "decoder/layers/self_attention/query": 1.0,
        "decoder/layers/self_attention/key": 4.0,
        "decoder/layers/cross_attention/query": 1.0,
        "decoder/layers/cross_attention/key": 2.0,
        "decoder/layers/mlp/wo": 6.0,
    }
    assert found.rank_of("decoder/layers/mlp/wo") == 2


def test_defaults_of_peft_hold_where_fields_are_absent(tmp_path):
    write(tmp_path, LoRA((".*/query",), 8, 8.0))
    fields = ("r", "lora_alpha", "lora_dropout", "rank_pattern", "alpha_pattern", "bias", "use_rslora")
    change(tmp_path, **dict.fromkeys((*fields, "use_dora", "task_type", "base_model_name_or_path")))
    assert read(tmp_path)[0] == LoRA((".*/query",), 8, 8.0)


def test_a_prompt_for_two_submodules_is_read_where_peft_reads_it(tmp_path, caplog):
    weights = write(tmp_path, SoftPrompt(length=3))["soft_prompt"]["prompt"]
    change(tmp_path, {"prompt_embeddings": np.concatenate([weights, weights + 1])}, prompt_tuning_init="TEXT")
    change(tmp_path, num_transformer_submodules=2, prompt_tuning_init_text="Say", tokenizer_name_or_path="t")
    with caplog.at_level("INFO", "fiat_jax"):
        found, again = read(tmp_path)
    assert found == SoftPrompt(length=3)
    np.testing.assert_array_equal(again["soft_prompt"]["prompt"], weights)
    assert "rows of prompt_embeddings from 3 are not read" in caplog.text


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_in_half_precision_become_float32(tmp_path, dtype):
    write(tmp_path, LoRA((".*/wo",), 2))
    halves = {
        n: v.astype(jnp.dtype(dtype)) for n, v in load_file(tmp_path / "adapter_model.safetensors").items()
    }
    change(tmp_path, halves)
    values = read(tmp_path)[1]["encoder"]["layers"]["mlp"]["wo"]["lora"]["a"]
    expected = halves[f"{FEED_FORWARD[0]}.wo.lora_A.weight"].astype(np.float32).T
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values[0], expected)


def test_an_adapter_for_another_base_is_refused_with_both_fingerprints(tmp_path):
    write(tmp_path, IA3(), fingerprint="aaaaaaaaaaaaaaaa")
    with pytest.raises(DataError, match=r"bbbbbbbbbbbbbbbb.*'some/base' with aaaaaaaaaaaaaaaa"):
        read(tmp_path, "bbbbbbbbbbbbbbbb")
    assert read(tmp_path, None)[0] == IA3()
    with safe_open(tmp_path / "adapter_model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt", "fiat_jax.base": "aaaaaaaaaaaaaaaa"}


def test_the_base_of_an_adapter_without_a_fingerprint_is_said(tmp_path, caplog):
    write(tmp_path, IA3())
    change(tmp_path)  # peft keeps no metadata
    with caplog.at_level("INFO", "fiat_jax"):
        assert read(tmp_path)[0] == IA3()
    assert "'some/base'" in caplog.text


def test_weights_are_read_for_the_same_settings_only(tmp_path):
    weights = write(tmp_path, LoRA((".*/query",), 2, 4.0, dropout=0.1))
    same = LoRA(("(encoder|decoder)/.*query",), 2, 4.0)
    jax.tree.map(
        np.testing.assert_array_equal, read_weights(tmp_path, same, CONFIG, "0123456789abcdef"), weights
    )
    for other, sentence in (
        (LoRA((".*/query",), 2, 5.0), r"lora_alpha 4\.0 instead of 5\.0"),
        (LoRA((".*/(query|key)",), 2, 4.0), r"target_modules \['q'\] instead of \['k', 'q'\]"),
        (SoftPrompt(length=2), "peft_type 'LORA' instead of 'PROMPT_TUNING'"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            read_weights(tmp_path, other, CONFIG, "0123456789abcdef")
