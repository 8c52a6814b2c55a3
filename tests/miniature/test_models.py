"""The two models that come with the package, and the command that makes them."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

from fiat_jax.checkpoints import Base, huggingface
from fiat_jax.checkpoints.huggingface_export import write
from fiat_jax.cli import main
from fiat_jax.data.templates import Filling
from fiat_jax.data.vocabularies import load_tokens
from fiat_jax.miniature.folder import MODELS, NAMES, make
from fiat_jax.miniature.lessons import reasoner_lessons
from fiat_jax.miniature.pretrain import checksums, rebuild
from fiat_jax.miniature.world import PROMPT_LENGTH, REASON, TEMPLATE, WRITTEN, splits
from fiat_jax.reasoning import Prompt
from fiat_jax.reasoning.clients.text import as_text
from fiat_jax.study.t5_reasoner import T5Reasoner

ROOT = Path(__file__).parents[2]
GOLDEN = ["tiny_gated", "tiny_relu"]
PROMPT = Prompt(input=TEMPLATE.input, instruction=REASON)


def filled(row):
    return Filling(row["id"], row["language"], row)


def test_the_models_are_those_whose_checksums_are_recorded_and_are_small():
    assert checksums(MODELS) == (MODELS / "SHA256SUMS").read_text(encoding="utf-8")
    sizes = [(MODELS / name / "model.safetensors").stat().st_size for name in NAMES]
    assert 4_000_000 > sizes[0] > 2 * sizes[1]


@pytest.mark.parametrize("name", NAMES)
def test_the_vocabulary_of_a_model_has_every_word_of_the_world(name):
    tokens = load_tokens(str(MODELS / name))
    rows = [row for some in splits().values() for row in some]
    texts = [TEMPLATE.compose("instruction", filled(row)) for row in rows]
    texts += [row["answer"] for row in reasoner_lessons(500)]
    assert all(tokens.unk_id not in tokens.encode(text) for text in texts)
    assert tokens.size == huggingface.load_config(MODELS / name).vocab_size


def test_the_reasoner_is_asked_as_its_lessons_were():
    tokens, row = load_tokens(str(MODELS / "reasoner")), splits()["test"][0]
    (request,) = PROMPT.requests([row], (), "test")
    lesson = f"{REASON} {TEMPLATE.compose('plain', filled(row))}"
    assert tokens.encode(as_text(request.messages)) == tokens.encode(lesson)


def test_the_reasoner_reasons_about_a_task_that_it_was_never_shown():
    rows = [row for row in splits()["test"] if row["language"] == "vel"][:20]
    base = Base(str(MODELS / "reasoner"), dtype="float32")
    client = T5Reasoner(base, inputs_length=PROMPT_LENGTH, max_tokens=WRITTEN, batch_size=20)
    with ThreadPoolExecutor(len(rows)) as pool:
        said = [one.text for one in pool.map(client.complete, PROMPT.requests(rows, (), "test"))]
    right = [text.endswith(f"The answer is: {row['answer']}") for text, row in zip(said, rows, strict=True)]
    assert np.mean(right) > 0.7


def test_the_folder_is_made_without_training_and_its_settings_are_accepted(tmp_path, capsys):
    make(tmp_path / "world")
    settings = ["--gin_file", str(tmp_path / "world" / "miniature.gin"), "--dry_run"]
    train = ["train", "--gin_file", "runs/fiat.gin", "--run_dir", str(tmp_path / "run")]
    for command in (["annotate"], train):
        assert main([*command, *settings]) == 0, capsys.readouterr().err
    assert "calls to make: 800" in capsys.readouterr().out


@pytest.mark.slow
def test_pretraining_gives_the_same_weights_bit_for_bit(tmp_path):
    for run in ("one", "two"):
        rebuild(tmp_path / run, "tuned", (2, 2), 200)
    one, two = ((tmp_path / run / "tuned" / "model.safetensors").read_bytes() for run in ("one", "two"))
    assert one == two


@pytest.mark.slow
def test_the_models_of_the_package_are_rebuilt_on_this_processor(tmp_path):
    """Exactly where the processor is of the kind that made them; see docs/miniature.md."""
    command = [sys.executable, "-m", "fiat_jax.miniature.pretrain", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"})
    assert (tmp_path / "SHA256SUMS").read_bytes() == (MODELS / "SHA256SUMS").read_bytes()


@pytest.mark.parametrize("name", GOLDEN)
def test_a_base_written_and_read_again_is_the_same_bit_for_bit(name, tmp_path, request):
    config, params = huggingface.load(request.config.rootpath / "tests" / "golden" / name, dtype="float32")
    write(tmp_path, config, params)
    again, same = huggingface.load(tmp_path, dtype="float32")
    assert again == config
    jax.tree.map(np.testing.assert_array_equal, same, params)
