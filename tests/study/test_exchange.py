"""Adapters into runs and out of them, by the commands that people type."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fiat_jax.checkpoints import huggingface
from fiat_jax.cli import main
from fiat_jax.config import parse
from fiat_jax.study.evaluation import best_weights
from fiat_jax.study.experiment import assemble

FEW = ("--gin.Tuning.steps=2", "--gin.Tuning.save_every=0", "--gin.Tuning.eval_every=0")


def fiat(command, run_dir, *words, gin=()):
    files = [word for name in gin for word in ("--gin_file", name)]
    return main([command, *files, *(["--run_dir", run_dir] if run_dir else []), *words])


def train(run_dir, *words):
    return fiat("train", run_dir, *FEW, *words, gin=["world.gin"])


def tensors(folder):
    return load_file(Path(folder, "adapter_model.safetensors"))


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], name)


def answers(run_dir):
    return Path(run_dir, "predictions", "test.jsonl").read_text()


def error(capsys):
    return capsys.readouterr().err.splitlines()[-1]


def change_base(path="model/model.safetensors"):
    weights = load_file(path)
    save_file({name: value + 0.1 for name, value in weights.items()}, path)


@pytest.mark.slow
def test_an_adapter_goes_out_of_a_run_into_another_on_with_tuning_and_into_its_base(world, capsys):
    assert train("run", "--gin.AdamW.learning_rate=0.1") == 0
    assert fiat("eval", "run") == 0

    assert fiat("export", "run", "--gin.export.output=out") == 0
    assert_same(tensors("out"), tensors("run/adapter"))
    settings = [json.loads(Path(f, "adapter_config.json").read_text()) for f in ("out", "run/adapter")]
    assert settings[0] == settings[1]
    assert fiat("export", "run", "--gin.export.output=new", "--gin.export.step=1") == 2
    assert re.search("step 1, found those of 2", error(capsys))

    imported = ["--gin.import_adapter.adapter=out", "--gin.LoRA.rank=9"]
    assert fiat("import", "again", *imported, gin=["world.gin"]) == 0
    assert "LoRA.rank = 4" in Path("again/config.gin").read_text()
    assert fiat("eval", "again") == 0
    assert answers("again") == answers("run")
    assert_same(tensors("again/adapter"), tensors("out"))

    start = ["--gin.Tuning.start=again/adapter", "--gin.Tuning.optimizer=@AdamW()"]
    still = ["--gin.AdamW.learning_rate=1e-30", "--gin.Tuning.batch_size=4"]
    assert fiat("train", "more", *FEW, *start, *still, gin=["again/config.gin"]) == 0
    assert_same(tensors("more/adapter"), tensors("out"))

    capsys.readouterr()
    assert fiat("merge", "run", "--gin.merge.output=merged") == 0
    said = capsys.readouterr().out
    assert float(re.search(r"by (\S+) of the largest", said)[1]) < 1e-4
    assert float(re.search(r"change of a weight is (\S+),", said)[1]) > 1e-3
    undo = ["--gin.merge.undo=True", "--gin.merge.adapter=out", "--gin.merge.output=undone"]
    assert fiat("merge", "", "--gin.Base.path=merged", *undo) == 0
    base, undone = (load_file(f"{folder}/model.safetensors") for folder in ("model", "undone"))
    assert all(np.abs(base[name] - undone[name]).max() < 1e-5 for name in base)

    change_base()
    theirs = huggingface.open_model("model").fingerprint()
    for command, run_dir, words in (
        ("eval", "run", []),
        ("train", "more", []),
        ("export", "run", ["--gin.export.output=new"]),
        ("merge", "run", ["--gin.merge.output=new"]),
        ("import", "third", ["--gin.import_adapter.adapter=out", "--gin.Base.path=model"]),
    ):
        gin = {"import": ["world.gin"], "train": ["more/config.gin"]}.get(command, [])
        assert fiat(command, run_dir, *words, gin=gin) == 3, command
        said = error(capsys)
        assert said.startswith(f"fiat {command}: ") and theirs in said and "made for" in said, said


@pytest.mark.parametrize(
    "kind",
    [
        "PrefixTuning",
        pytest.param("DoRA", marks=pytest.mark.slow),
        pytest.param("IA3", marks=pytest.mark.slow),
        pytest.param("SoftPrompt", marks=pytest.mark.slow),
    ],
)
def test_every_kind_leaves_a_folder_that_becomes_a_run_with_the_same_answers(world, kind):
    assert train("run", f"--gin.Experiment.adapter=@{kind}()", "--gin.AdamW.learning_rate=0.1") == 0
    assert fiat("eval", "run") == 0
    assert fiat("import", "again", "--gin.import_adapter.adapter=run/adapter", gin=["world.gin"]) == 0
    assert fiat("eval", "again") == 0
    assert answers("again") == answers("run")


def test_a_model_whose_own_weights_were_tuned_is_exported_as_a_hugging_face_folder(world, capsys):
    Path("model/spiece.model").write_text("words")
    assert train("run", "--gin.Experiment.adapter=None", "--gin.AdamW.learning_rate=0.1") == 0
    assert not Path("run/adapter").exists()
    assert fiat("export", "run", "--gin.export.output=out") == 0
    assert Path("out/spiece.model").read_text() == "words"
    experiment = parse("eval", ["run/config.gin"], ["eval.run_dir=run"]).arguments["experiment"]
    expected = best_weights(Path("run"), assemble(experiment, seed=0))[0]["params"]
    found = huggingface.load("out")[1]
    np.testing.assert_array_equal(found["shared"]["embedding"], expected["shared"]["embedding"])
    wo = found["decoder"]["layers"]["mlp"]["wo"]["kernel"]
    np.testing.assert_array_equal(wo, expected["decoder"]["layers"]["mlp"]["wo"]["kernel"])
    assert fiat("merge", "run", "--gin.merge.output=merged") == 2
    assert "adapter: expected a folder with adapter_config.json" in error(capsys)


@pytest.mark.parametrize(
    ("command", "words", "code", "sentence"),
    [
        ("merge", ["--gin.merge.output=new"], 2, "expected a PEFT folder, or --run_dir"),
        ("merge", ["--gin.merge.adapter=nowhere", "--gin.merge.output=new"], 2, "nowhere: expected a folder"),
        ("merge", ["--gin.merge.adapter=model", "--gin.merge.output=data"], 2, "new or empty folder"),
        (
            "merge",
            ["--gin.merge.adapter=model", "--gin.merge.output=new"],
            3,
            "adapter_config.json: expected",
        ),
        ("merge", ["--gin.merge.dtype=float16", "--gin.merge.output=new"], 2, "'bfloat16'.*found 'float16'"),
        ("import", ["--run_dir", "new"], 2, "import_adapter.adapter is required"),
        (
            "import",
            ["--run_dir", "new", "--gin.import_adapter.adapter=model"],
            3,
            "adapter_config.json: expected",
        ),
        ("export", ["--run_dir", "empty", "--gin.export.output=new"], 2, "no checkpoint"),
        ("train", ["--run_dir", "new", "--gin.Tuning.start=model"], 3, "adapter_config.json: expected"),
        (
            "train",
            ["--run_dir", "new", "--gin.Tuning.start=model", "--gin.Experiment.adapter=None"],
            2,
            r"Tuning\.start: expected an adapter.*fiat merge",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_its_exit_code(world, capsys, command, words, code, sentence):
    Path("data").mkdir()
    Path("data/file").touch()
    Path("empty").mkdir()
    shutil.copy("world.gin", "empty/config.gin")
    assert main([command, "--gin_file", "world.gin", *words]) == code
    said = error(capsys)
    assert said.startswith(f"fiat {command}: ") and re.search(sentence, said), said
    assert not list(Path().glob("new/*.safetensors"))
