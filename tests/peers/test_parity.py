"""Our T5 against transformers itself, on random small models; needs the `peers` extra."""

import shlex
import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from fiat_jax.checkpoints import huggingface, names
from fiat_jax.decoding import generate
from fiat_jax.errors import DataError
from fiat_jax.models import T5
from fiat_jax.models.likelihood import shift_right
from fiat_jax.training.losses import cross_entropy

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.peers

SMALL = dict(
    model_type="t5",
    vocab_size=61,
    d_model=16,
    d_kv=6,
    d_ff=20,
    num_layers=3,
    num_decoder_layers=2,
    num_heads=4,
    feed_forward_proj="gated-gelu",
    tie_word_embeddings=False,
    pad_token_id=0,
    eos_token_id=1,
    decoder_start_token_id=0,
)
CONFIGS = {
    "v1.0": dict(feed_forward_proj="relu", tie_word_embeddings=True),
    "v1.1": dict(),
    "mt5": dict(model_type="mt5"),
    "mt5, tied": dict(model_type="mt5", tie_word_embeddings=True),
    "umt5": dict(model_type="umt5"),
    "another end": dict(eos_token_id=2),
    "ul2": dict(feed_forward_proj="gated-silu"),
    "one head, other buckets": dict(
        num_heads=1, relative_attention_num_buckets=8, relative_attention_max_distance=20
    ),
    "another start and norm": dict(decoder_start_token_id=3, layer_norm_epsilon=1e-3),
}
LENGTHS = dict(inputs=150, targets=40)


@pytest.fixture(params=CONFIGS)
def pair(request, tmp_path):
    """A random model in torch and in ours, by way of a folder with every tensor in it, and a padded batch."""
    from torch_t5 import load_torch, write_random

    raw = SMALL | CONFIGS[request.param]
    write_random(raw, raw["tie_word_embeddings"], tmp_path)
    theirs = load_torch(tmp_path)
    config, params = huggingface.load(tmp_path, dtype="float32")
    random = np.random.default_rng(1)
    batch = {name: random.integers(3, raw["vocab_size"], (2, length)) for name, length in LENGTHS.items()}
    for ids in batch.values():
        ids[1, 3:] = 0
    return SimpleNamespace(theirs=theirs, config=config, params=params, folder=tmp_path, **batch)


def their_run(model, pair):
    from torch_t5 import run_torch

    return run_torch(model, pair.inputs, pair.targets)


def our_run(pair, variables, adapter=None):
    decoder_inputs = shift_right(pair.targets, pair.config.decoder_start_id)
    return jax.jit(T5(pair.config, adapter).apply)(variables, pair.inputs, decoder_inputs)


def assert_close(ours, theirs, tolerance=1e-4):
    ours, theirs = np.asarray(ours), theirs.detach().numpy()
    assert np.max(np.abs(ours - theirs)) < tolerance * np.max(np.abs(theirs))


def test_logits_equal_transformers(pair):
    real = pair.targets != 0
    logits = our_run(pair, {"params": pair.params})
    assert_close(logits[real], their_run(pair.theirs, pair).logits[torch.tensor(real)])


def test_loss_and_every_gradient_equal_transformers(pair):
    weights = (pair.targets != 0).astype(np.float32)

    def loss(params):
        sums = cross_entropy(our_run(pair, {"params": params}), pair.targets, weights)
        return sums.loss / sums.weight

    value, gradients = jax.jit(jax.value_and_grad(loss))(pair.params)
    out = their_run(pair.theirs, pair)
    out.loss.backward()
    assert_close(value, out.loss)
    ours, theirs = flatten_dict(gradients, sep="/"), dict(pair.theirs.named_parameters())
    for row in names.rows(pair.config):
        expected = [theirs[name].grad for name in row.names(pair.config)]
        expected = torch.stack([gradient.T if row.transposed else gradient for gradient in expected])
        assert_close(ours[row.path], expected.reshape(ours[row.path].shape), 1e-3)


def test_greedy_answers_equal_transformers(pair):
    inputs = torch.tensor(pair.inputs)
    expected = pair.theirs.generate(
        inputs, attention_mask=(inputs != 0).long(), do_sample=False, num_beams=1, max_new_tokens=20
    )[:, 1:].numpy()
    answers = np.asarray(generate(T5(pair.config), {"params": pair.params}, pair.inputs, 20))
    np.testing.assert_array_equal(answers[:, : expected.shape[1]], expected)
    assert not answers[:, expected.shape[1] :].any()


@pytest.mark.parametrize("pair", ["v1.1"], indirect=True)
def test_the_conversion_that_the_error_suggests_works(pair):
    (pair.folder / "model.safetensors").unlink()
    torch.save(pair.theirs.state_dict(), pair.folder / "pytorch_model.bin")
    with pytest.raises(DataError) as error:
        huggingface.load(pair.folder)
    command = shlex.split(str(error.value).partition("&& ")[2])
    subprocess.run([sys.executable, *command[1:]], cwd=pair.folder, check=True)
    jax.tree.map(np.testing.assert_array_equal, huggingface.load(pair.folder)[1], pair.params)
