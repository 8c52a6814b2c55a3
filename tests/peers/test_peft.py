"""Adapters of ours in peft, and of peft's in ours: the same logits, and the same tensors again."""

import json
import warnings
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from checkpoints.random_adapters import random_weights
from peers.test_parity import SMALL, assert_close, our_run, their_run
from safetensors.numpy import load_file

from fiat_jax.adapters import IA3, DoRA, LoRA, SoftPrompt
from fiat_jax.checkpoints import huggingface, read_adapter, write_adapter

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
pytestmark = pytest.mark.peers

V10 = SMALL | dict(feed_forward_proj="relu", tie_word_embeddings=True)
LENGTHS = dict(inputs=9, targets=5)
OURS = {
    "lora, all": LoRA(rank=3, alpha=5.0),
    "lora, some": LoRA((".*/(query|value)",), 3, 5.0),
    "lora, decoder": LoRA(("decoder/.*",), 3, 5.0),
    "lora, ranks and alphas": LoRA(
        rank=3, alpha=5.0, ranks=((".*/wo", 2), ("decoder/.*", 4)), alphas=(("encoder/.*/query", 1.5),)
    ),
    "rslora": LoRA(rank=4, alpha=5.0, rank_stabilised=True, ranks=((".*/out", 1),)),
    "dora": DoRA(rank=3, alpha=5.0, ranks=((".*/key", 2),)),
    "ia3": IA3(),
    "ia3, outputs scaled as inputs": IA3((".*/(out|query|wo)",), inputs=("encoder/.*/out", ".*/query")),
    "soft prompt": SoftPrompt(length=7),
    "soft prompt, square": SoftPrompt(length=SMALL["d_model"]),
}
SEQ2SEQ = dict(task_type="SEQ_2_SEQ_LM")
THEIRS = {
    "lora": dict(peft_type="LORA", r=3, lora_alpha=5, target_modules=["q", "v", "wo"], lora_dropout=0.1),
    "lora, all": dict(peft_type="LORA", r=2, target_modules="all-linear"),
    "lora, patterns": dict(
        peft_type="LORA",
        r=3,
        target_modules=r".*\.(q|k|wo)",
        rank_pattern={"k": 2, r"decoder.*\.wo": 4},
        alpha_pattern={r"EncDecAttention\.q": 7, "wo": 1.5},
    ),
    "rslora": dict(peft_type="LORA", r=4, target_modules=["k", "o"], use_rslora=True),
    "dora": dict(peft_type="LORA", r=3, lora_alpha=5, target_modules=["q", "wi_0"], use_dora=True),
    "ia3": dict(peft_type="IA3", target_modules=["k", "v", "wo"], feedforward_modules=["wo"]),
    "soft prompt": dict(peft_type="PROMPT_TUNING", num_virtual_tokens=5, num_transformer_submodules=1),
    "soft prompt of two submodules": dict(peft_type="PROMPT_TUNING", num_virtual_tokens=5),
}


def random_torch(raw, folder):
    """A random model in a folder and in torch, the same each time."""
    from torch_t5 import load_torch, write_random

    write_random(raw, raw["tie_word_embeddings"], folder)
    return load_torch(folder)


def pair_of(raw, folder):
    """A random model in torch and in ours, and a padded batch."""
    theirs = random_torch(raw, folder)
    pretrained = huggingface.open_model(folder, dtype="float32")
    random = np.random.default_rng(1)
    batch = {name: random.integers(2, raw["vocab_size"], (2, length)) for name, length in LENGTHS.items()}
    for ids in batch.values():
        ids[1, 3:] = 0
    params = pretrained.params(learned=True)
    fingerprint = pretrained.fingerprint()
    return SimpleNamespace(
        theirs=theirs,
        config=pretrained.config,
        params=params,
        folder=folder,
        fingerprint=fingerprint,
        **batch,
    )


def assert_same_logits(pair, adapter, weights, tuned):
    real = pair.targets != 0
    logits = our_run(pair, {"params": pair.params, "adapter": weights}, adapter)
    expected = their_run(tuned, pair).logits[torch.tensor(real)]
    assert_close(logits[real], expected)
    with tuned.disable_adapter():
        assert not torch.allclose(their_run(tuned, pair).logits[torch.tensor(real)], expected, rtol=1e-2)


@pytest.mark.parametrize("adapter", OURS.values(), ids=OURS.keys())
@pytest.mark.parametrize("raw", [SMALL, V10], ids=["v1.1", "v1.0"])
def test_peft_loads_ours_without_a_word_and_gives_the_same_logits(raw, adapter, tmp_path):
    pair = pair_of(raw, tmp_path)
    weights = random_weights(adapter, pair.config)
    write_adapter(tmp_path / "adapter", adapter, weights, pair.config, str(tmp_path), pair.fingerprint)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tuned = peft.PeftModel.from_pretrained(pair.theirs, tmp_path / "adapter").eval()
    assert_same_logits(pair, adapter, weights, tuned)
    tuned.save_pretrained(tmp_path / "again")
    ours, again = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("adapter", "again"))
    jax.tree.map(np.testing.assert_array_equal, ours, again)


@pytest.fixture(params=THEIRS)
def theirs(request, tmp_path):
    """A folder that peft has written, with the model it was written from."""
    pair = pair_of(SMALL, tmp_path)
    tuned = peft.get_peft_model(pair.theirs, peft.get_peft_config(SEQ2SEQ | THEIRS[request.param])).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    tuned.save_pretrained(tmp_path / "theirs")
    return SimpleNamespace(pair=pair, tuned=tuned, folder=tmp_path / "theirs")


def test_theirs_is_loaded_gives_the_same_logits_and_is_written_again_bit_for_bit(theirs, tmp_path):
    pair = theirs.pair
    adapter, weights = read_adapter(theirs.folder, pair.config, pair.fingerprint)
    assert_same_logits(pair, adapter, weights, theirs.tuned)
    write_adapter(tmp_path / "ours", adapter, weights, pair.config, str(tmp_path), pair.fingerprint)
    before, after = (
        load_file(folder / "adapter_model.safetensors") for folder in (theirs.folder, tmp_path / "ours")
    )
    if isinstance(adapter, SoftPrompt):  # peft reads no more than these rows, whatever it keeps
        before = {name: value[: adapter.length] for name, value in before.items()}
    assert before.keys() == after.keys()
    jax.tree.map(np.testing.assert_array_equal, before, after)
    old, new = (
        json.loads((folder / "adapter_config.json").read_text())
        for folder in (theirs.folder, tmp_path / "ours")
    )
    same_meaning = {"target_modules", "rank_pattern", "alpha_pattern", "num_transformer_submodules"}
    for name in new.keys() - same_meaning - {"base_model_name_or_path", "inference_mode"}:
        found = set(new[name]) if isinstance(new[name], list) else new[name]
        expected = set(old[name]) if isinstance(old[name], list) else old[name]
        assert found == expected, name
    again = peft.PeftModel.from_pretrained(random_torch(SMALL, pair.folder), tmp_path / "ours").eval()
    assert_same_logits(pair, adapter, weights, again)
