"""Runs from command to folder: what they leave, that they resume bit for bit, and what stops them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fiat_jax.cli import main

CODE = "import sys; from fiat_jax.cli import main; sys.exit(main())"


def command(*words):
    return [sys.executable, "-c", CODE, *words]


def metrics(run_dir, split):
    rows = [json.loads(line) for line in Path(run_dir, "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["split"] == split]


def train(run_dir, *words):
    return main(["train", "--gin_file", "world.gin", "--run_dir", run_dir, *words])


def wait_for_step(run_dir, step, process):
    """Returns as soon as a run has logged a step."""
    path = Path(run_dir, "metrics.jsonl")
    while not (path.exists() and f'"step": {step},' in path.read_text()):
        assert process.poll() is None, "the run ended by itself"
        time.sleep(0.02)


def test_a_run_trains_scores_and_answers_and_leaves_all_in_its_folder(world, capsys):
    assert train("run") == 0
    losses = [row["loss"] for row in metrics("run", "train")]
    assert all(0 <= row["input_share"] <= 1 for row in metrics("run", "train"))
    assert len(losses) == 12 and losses[-1] < losses[0]
    validations = metrics("run", "validation")
    assert [row["step"] for row in validations] == [5, 10, 12]
    assert {"loss", "f1", "em", "n", "aa/f1", "bb/em", "bb/n"} <= set(validations[0])
    kept = {int(path.name) for path in Path("run/checkpoints").iterdir()}
    best = max(validations, key=lambda row: (row["f1"], row["step"]))["step"]
    assert kept == {best, 12}

    assert main(["eval", "--run_dir", "run"]) == 0
    rows = [json.loads(line) for line in Path("run/predictions/test.jsonl").read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == sorted(f"test-{n}" for n in range(7))
    assert "mean" in capsys.readouterr().out

    inputs = [
        {"question": "what lies at 3?", "context": "at 3 lies a stone.", "id": f"new-{n}", "extra": n}
        for n in range(3)
    ]
    Path("new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in inputs))
    rationales = [{"id": f"new-{n}", "rationale": "it is there"} for n in range(3)]
    Path("why.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rationales))
    words = [
        "--gin.predict.input=new.jsonl",
        "--gin.predict.output=out.jsonl",
        "--gin.predict.rationales=why.jsonl",
    ]
    assert main(["predict", "--run_dir", "run", *words]) == 0
    answered = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["extra"] for row in answered] == [0, 1, 2]
    assert all(row["rationale"] == "it is there" and isinstance(row["prediction"], str) for row in answered)

    left = {path.name for path in Path("run").iterdir()}
    files = {"config.gin", "environment.json", "metrics.jsonl", "report.html"}
    assert left == files | {"tensorboard", "checkpoints", "adapter", "predictions"}
    tensors = load_file("run/adapter/adapter_model.safetensors")
    a, b = (f"base_model.model.encoder.block.1.layer.1.DenseReluDense.wo.lora_{x}.weight" for x in "AB")
    assert tensors[a].shape == (4, 32) and tensors[b].shape == (16, 4)
    size = Path("run/adapter/adapter_model.safetensors").stat().st_size
    assert size < sum(t.nbytes for t in tensors.values()) + 30_000
    assert json.loads(Path("run/adapter/adapter_config.json").read_text())["target_modules"] == [
        "k", "o", "q", "v", "wi_0", "wi_1", "wo",
    ]  # fmt: skip


def test_a_killed_run_ends_with_the_weights_and_the_data_order_of_one_never_killed(world):
    assert train("whole") == 0
    words = ["train", "--gin_file", "world.gin", "--run_dir", "killed"]
    for step in (4, 8):
        process = subprocess.Popen(command(*words), stderr=subprocess.DEVNULL)
        wait_for_step("killed", step, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert train("killed") == 0
    weights = [load_file(f"{run}/adapter/adapter_model.safetensors") for run in ("whole", "killed")]
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    losses = [[(row["step"], row["loss"]) for row in metrics(run, "train")] for run in ("whole", "killed")]
    assert losses[0] == losses[1]


def test_sigterm_saves_and_exits_75_and_the_same_command_goes_on(world):
    words = ["train", "--gin_file", "world.gin", "--run_dir", "run", "--gin.Tuning.steps=100000"]
    process = subprocess.Popen(command(*words), stderr=subprocess.PIPE, text=True, env=os.environ)
    wait_for_step("run", 2, process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 75
    assert "the same command resumes" in said.splitlines()[-1]
    (stopped,) = [int(path.name) for path in Path("run/checkpoints").iterdir() if path.name.isdigit()][-1:]
    assert stopped >= 2


@pytest.mark.slow
def test_full_fine_tuning_is_the_same_command_without_an_adapter(world):
    plain = ["--gin.Experiment.adapter=None", "--gin.Experiment.variant=plain", "--gin.Tuning.accumulation=2"]
    assert train("run", *plain) == 0
    assert not Path("run/adapter").exists()
    assert main(["eval", "--run_dir", "run"]) == 0
    losses = [row["loss"] for row in metrics("run", "train")]
    assert all(0 <= row["input_share"] <= 1 for row in metrics("run", "train"))
    assert losses[-1] < losses[0]


def test_a_vocabulary_with_another_end_than_the_models_is_refused(world, capsys):
    path = Path("model/config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": 2}))
    assert train("run") == 2
    assert "with pad id 0 and end id 2, found 0 and 1; use the model's own" in capsys.readouterr().err


@pytest.mark.slow
def test_bfloat16_int8_dropout_remat_and_adafactor_learn_together(world):
    words = ["--gin.Base.dtype=bfloat16", "--gin.Base.remat=full", "--gin.LoRA.dropout=0.1"]
    words.append("--gin.Base.quantise=int8")
    optimizer = ["--gin.Tuning.optimizer=@Adafactor()", "--gin.Adafactor.learning_rate=1e-2"]
    assert train("run", *words, *optimizer) == 0
    losses = [row["loss"] for row in metrics("run", "train")]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert all(row["compiles"] == 1 for row in metrics("run", "train"))


def test_a_non_finite_loss_stops_the_run_with_4_and_names_the_step(world, capsys):
    assert train("run", "--gin.AdamW.learning_rate=1e30", "--gin.AdamW.clip_norm=0.0") == 4
    said = capsys.readouterr().err.splitlines()[-1]
    assert "step" in said and "expected a finite" in said


def test_changed_data_does_not_resume(world, capsys):
    assert train("run") == 0
    text = Path("train.jsonl").read_text()
    Path("train.jsonl").write_text(text.replace("sand", "mud"))
    assert train("run") == 3
    assert "have changed since" in capsys.readouterr().err


def replace_in(path, old, new):
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("path", "old", "new", "sentence"),
    [
        ("train.jsonl", '"question"', '"query"', "train.jsonl:1:.*'question'"),
        ("train.jsonl", '{"id": "train-2"', '{"id" "train-2"', "train.jsonl:3:.*broken JSON"),
        ("train.jsonl", '"train-2"', '"train-0"', "train.jsonl:3:.*'train-0'.*train.jsonl:1"),
        ("rationales.jsonl", '"train-4"', '"other"', "'train-4'.*fiat annotate"),
        ("model/config.json", '"d_ff": 32', '"d_ff": 48', "wi_0.weight.*instead of"),
    ],
    ids=["a missing field", "a broken line", "an id twice", "no rationale", "weights of another shape"],
)
def test_broken_input_is_one_sentence_and_exit_code_3(world, capsys, path, old, new, sentence):
    replace_in(path, old, new)
    assert train("run") == 3
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("fiat train: ")
    assert re.search(sentence, said), said


def test_a_bin_file_is_refused_with_the_remedy(world, capsys):
    Path("model/model.safetensors").rename("model/pytorch_model.bin")
    assert train("run") == 3
    assert "safetensors" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("--gin.Tuning.step=3", "did you mean 'steps'"),
        ("--gin.Tunning.steps=3", "did you mean 'Tuning'"),
        ("--gin.Tuning.steps='three'", "expected .*int"),
        ("--gin.LoRA.targets=('.*/q',)", "matches nothing"),
        ("--gin.Base.path=nowhere/at/all", "expected a folder"),
        ("--gin.Base.dtype=float16", "bfloat16"),
        ("--gin.Base.quantise=nf4", "multiple of 64"),
        ("--gin.Base.quantise=nf4 --gin.Experiment.adapter=None", "expected an adapter on a base in nf4"),
        ("--gin.Experiment.variant=cot", "plain"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_exit_code_2(world, capsys, word, sentence):
    assert train("run", *word.split()) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("fiat train: ")
    assert re.search(sentence, said), said
