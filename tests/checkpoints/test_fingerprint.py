"""A base is told from others by its weights, wherever and however they are kept."""

import json
import shutil
from pathlib import Path

import ml_dtypes
import pytest
from safetensors.numpy import load_file, save_file

from fiat_jax.checkpoints import huggingface
from fiat_jax.checkpoints.tensors import Tensor

GOLDEN = Path(__file__).parents[1] / "golden"
GATED, RELU = GOLDEN / "tiny_gated", GOLDEN / "tiny_relu"
WEIGHTS = load_file(GATED / "model.safetensors")
HEAD, SHARED = "lm_head.weight", "shared.weight"


def fingerprint(folder, weights=None):
    """That of a golden model, written to a folder first when weights are given."""
    if weights is not None:
        shutil.copy(GATED / "config.json", folder)
        save_file(weights, folder / "model.safetensors")
    return huggingface.open_model(folder).fingerprint()


def test_a_fingerprint_never_changes():
    assert fingerprint(GATED) == "2fe40b84caeb921d"
    assert fingerprint(RELU) == "38595902bc9ce9db"


def test_one_file_and_its_shards_share_a_fingerprint(tmp_path):
    shutil.copy(GATED / "config.json", tmp_path)
    index = {name: f"{number % 3}.safetensors" for number, name in enumerate(reversed(WEIGHTS))}
    for shard in set(index.values()):
        save_file({name: value for name, value in WEIGHTS.items() if index[name] == shard}, tmp_path / shard)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert fingerprint(tmp_path) == fingerprint(GATED)


def test_a_bfloat16_copy_shares_the_fingerprint(tmp_path):
    rounded = {name: value.astype(ml_dtypes.bfloat16) for name, value in WEIGHTS.items()}
    assert fingerprint(tmp_path, rounded) == fingerprint(GATED)


def test_a_head_or_an_embedding_kept_twice_changes_nothing(tmp_path):
    tied = {name: value for name, value in WEIGHTS.items() if name != HEAD}
    raw = huggingface.read_config(GATED) | {"tie_word_embeddings": True}
    prints = set()
    for number, copies in enumerate([(), (HEAD,), (HEAD, "encoder.embed_tokens.weight")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(raw))
        save_file(tied | dict.fromkeys(copies, tied[SHARED]), folder / "model.safetensors")
        prints.add(fingerprint(folder))
    assert len(prints) == 1 and prints != {fingerprint(GATED)}


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_tensor_counts(name, tmp_path):
    assert fingerprint(tmp_path, WEIGHTS | {name: -WEIGHTS[name]}) != fingerprint(GATED)


def test_the_place_of_a_layer_counts(tmp_path):
    one, two = (f"encoder.block.{layer}.layer.0.SelfAttention.q.weight" for layer in range(2))
    swapped = WEIGHTS | {one: WEIGHTS[two], two: WEIGHTS[one]}
    assert fingerprint(tmp_path, swapped) != fingerprint(GATED)


def test_of_a_large_matrix_a_few_rows_are_read(monkeypatch):
    pretrained, read, sizes = huggingface.open_model(GATED), Tensor.read, []

    def counted(tensor, *index):
        values = read(tensor, *index)
        sizes.append(values.size)
        return values

    monkeypatch.setattr(Tensor, "read", counted)
    pretrained.fingerprint()
    assert sum(sizes) == sum(4 * v.shape[1] if v.ndim == 2 else v.size for v in WEIGHTS.values())
