"""Merging into a folder and taking out again, on the golden models and adapters that have moved."""

import json
import shutil
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from checkpoints.random_adapters import random_weights
from safetensors.numpy import load_file

from fiat_jax.adapters import IA3, DoRA, LoRA, PrefixTuning, SoftPrompt
from fiat_jax.checkpoints import Base, huggingface, write_adapter
from fiat_jax.checkpoints.derived import write_like
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.models.quantised import dequantised
from fiat_jax.study.merging import merge_folder

GOLDEN = Path(__file__).parents[1] / "golden"
MERGEABLE = {
    "lora": LoRA(rank=3, alpha=5.0),
    "rslora": LoRA(rank=3, alpha=5.0, rank_stabilised=True, ranks=((".*/wo", 2),)),
    "dora": DoRA(rank=3, alpha=5.0),
    "ia3": IA3(),
}
mergeable = pytest.mark.parametrize("adapter", MERGEABLE.values(), ids=MERGEABLE.keys())


@pytest.fixture
def model(tmp_path):
    """A folder with a tiny T5, and files that belong to its vocabulary."""
    folder = tmp_path / "model"
    shutil.copytree(GOLDEN / "tiny_gated", folder)
    for name in ("tokenizer.json", "spiece.model", "generation_config.json"):
        (folder / name).write_text(name)
    return folder


def write(model, adapter, scale=1.0):
    pretrained = huggingface.open_model(model)
    weights = jax.tree.map(lambda x: x * scale, random_weights(adapter, pretrained.config))
    folder = model.parent / "adapter"
    write_adapter(folder, adapter, weights, pretrained.config, str(model), pretrained.fingerprint())
    return folder


def largest(one, other):
    changes = jax.tree.map(lambda x, y: np.abs(x - y).max(), one, other)
    return max(jax.tree.leaves(changes))


@mergeable
def test_a_merged_folder_gives_the_logits_of_base_and_adapter(model, tmp_path, adapter):
    merged = merge_folder(str(model), write(model, adapter), tmp_path / "out")
    assert merged.difference < 1e-4
    before, after = huggingface.load(model)[1], huggingface.load(tmp_path / "out")[1]
    assert merged.change == pytest.approx(largest(before, after), rel=1e-5)
    assert merged.change > 0.1
    config, origin = (
        json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "out", model)
    )
    assert config == origin | {"torch_dtype": "float32"}
    for name in ("tokenizer.json", "spiece.model", "generation_config.json"):
        assert (tmp_path / "out" / name).read_text() == name


def test_an_adapter_on_a_quantised_base_is_merged_into_the_floats_that_this_stands_for(model, tmp_path):
    folder = write(model, LoRA(rank=3))
    for how in ("none", "int8"):
        assert merge_folder(str(model), folder, tmp_path / how, quantise=how).difference < 1e-4
    plain, merged = (huggingface.load(tmp_path / how)[1] for how in ("none", "int8"))
    exact, stored = (
        dequantised(Base(str(model), dtype="float32", quantise=how).open().params(), np.float32)
        for how in ("none", "int8")
    )
    assert largest(exact, stored) > 1e-4
    same = partial(np.testing.assert_allclose, atol=1e-6)
    jax.tree.map(lambda m, p, s, e: same(m - p, s - e), merged, plain, stored, exact)


@mergeable
def test_an_adapter_is_taken_out_again_or_that_is_refused(model, tmp_path, adapter):
    folder = write(model, adapter)
    merge_folder(str(model), folder, tmp_path / "merged")
    if isinstance(adapter, DoRA):
        with pytest.raises(ConfigError, match="DoRA"):
            merge_folder(str(tmp_path / "merged"), folder, tmp_path / "out", undo=True)
        assert not (tmp_path / "out").exists()
        return
    undone = merge_folder(str(tmp_path / "merged"), folder, tmp_path / "out", undo=True)
    assert undone.difference < 1e-4
    assert largest(huggingface.load(model)[1], huggingface.load(tmp_path / "out")[1]) < 1e-5


def test_what_ia3_has_multiplied_by_zero_is_not_taken_out_again(model, tmp_path):
    folder = write(model, IA3(), scale=0.0)
    merge_folder(str(model), folder, tmp_path / "merged")
    with pytest.raises(DataError, match="expected finite weights"):
        merge_folder(str(tmp_path / "merged"), folder, tmp_path / "out", undo=True)


def test_weights_are_written_in_bfloat16_where_asked_and_the_difference_says_so(model, tmp_path):
    merged = merge_folder(str(model), write(model, MERGEABLE["lora"]), tmp_path / "out", "bfloat16")
    assert merged.difference > 1e-4
    tensors = load_file(tmp_path / "out" / "model.safetensors").values()
    assert {tensor.dtype.name for tensor in tensors} == {"bfloat16"}


@pytest.mark.parametrize("adapter", [SoftPrompt(length=3), PrefixTuning(length=3)], ids=lambda a: a.name)
def test_what_weights_cannot_hold_is_refused(model, tmp_path, adapter):
    with pytest.raises(
        ConfigError, match=f"found {type(adapter).__name__}, which cannot be put into weights"
    ):
        merge_folder(str(model), write(model, adapter), tmp_path / "out")


@pytest.mark.parametrize("scale", [np.inf, 1e38])
def test_weights_that_would_not_be_finite_are_refused_and_nothing_is_written(model, tmp_path, scale):
    with pytest.raises(DataError, match=r"expected finite weights.*mlp/wo/kernel"):
        merge_folder(
            str(model), write(model, LoRA(rank=2, targets=("encoder/.*/wo",)), scale), tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_not_written_to(model, tmp_path):
    with pytest.raises(ConfigError, match="expected a new or empty folder"):
        merge_folder(str(model), write(model, IA3()), model)


def test_an_adapter_for_another_base_is_refused_with_both_fingerprints(model, tmp_path):
    folder, other = write(model, IA3()), GOLDEN / "tiny_relu"
    ours, theirs = (huggingface.open_model(one).fingerprint() for one in (other, model))
    with pytest.raises(DataError, match=f"{ours}.*{theirs}"):
        merge_folder(str(other), folder, tmp_path / "out")


@pytest.mark.parametrize("name", ["tiny_gated", "tiny_relu"])
def test_many_files_and_their_index_give_what_one_file_gives(tmp_path, name):
    config, params = huggingface.load(GOLDEN / name)
    write_like(tmp_path, str(GOLDEN / name), config, params, limit=4000)
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(files) > 2 and files[0] == f"model-00001-of-{len(files):05}.safetensors"
    assert not list(tmp_path.glob("*.part"))
    tensors = [load_file(tmp_path / file) for file in files]
    assert all(len(some) == 1 or sum(t.nbytes for t in some.values()) <= 4000 for some in tensors)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(t.nbytes for some in tensors for t in some.values())
    assert {tensor for some in tensors for tensor in some} == index["weight_map"].keys()
    assert index["weight_map"].keys() == load_file(GOLDEN / name / "model.safetensors").keys()
    again = huggingface.load(tmp_path)
    assert again[0] == config
    jax.tree.map(np.testing.assert_array_equal, again[1], params)
