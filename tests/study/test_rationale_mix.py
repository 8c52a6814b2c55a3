"""Rationales left out or exchanged by the commands, and rationales learned instead of read."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from study.conftest import SHORT, write_jsonl

from fiat_jax.cli import main

CODE = "import sys; from fiat_jax.cli import main; sys.exit(main())"
TRAIN = ["train", "--gin_file", "world.gin", "--run_dir"]
MIXED = ["--gin.Tuning.rationale_mix=@RationaleMix()", "--gin.RationaleMix.without=0.3",
         "--gin.RationaleMix.wrong=0.3"]  # fmt: skip
PACKED = [*MIXED, "--gin.Tuning.packing=True", "--gin.Tuning.batch_size=8",
          "--gin.Tuning.accumulation=2", "--gin.Task.inputs_length=160"]  # fmt: skip
DISTILLED = ["--gin.Task.name=distilled", "--gin.Experiment.variant=distillation",
             "--gin.Task.targets_length=48", "--gin.Tuning.label_share=0.7"]  # fmt: skip
EVAL_MIX = "--gin.eval.rationale_mix=@RationaleMix()"


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def read(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("words", [MIXED, DISTILLED, PACKED], ids=["mixed", "distilled", "packed"])
def test_a_stopped_run_ends_with_the_weights_of_one_that_never_was(world, words):
    assert main([*TRAIN, "whole", *words]) == 0
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *TRAIN, "stopped", *words], stderr=subprocess.PIPE
    )
    while b"step 2/" not in process.stderr.readline():
        assert process.poll() is None, "the run ended by itself"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=240)
    assert process.returncode == 75
    assert main([*TRAIN, "stopped", *words]) == 0
    one, other = (load_file(f"{run}/adapter/adapter_model.safetensors") for run in ("whole", "stopped"))
    assert all((one[name] == other[name]).all() for name in one)


def test_distillation_answers_without_a_reasoner(world):
    assert main([*TRAIN, "run", *SHORT, *DISTILLED]) == 0
    rationales = [row for row in read("rationales.jsonl") if row["id"].startswith("train")]
    write_jsonl(world / "rationales.jsonl", rationales)
    assert main(["eval", "--run_dir", "run"]) == 0
    row = {"question": "what lies at 3?", "context": "at 3 lies a stone."}
    write_jsonl(world / "new.jsonl", [row])
    words = ["--gin.predict.input=new.jsonl", "--gin.predict.output=out.jsonl"]
    assert main(["predict", "--run_dir", "run", *words]) == 0
    (answered,) = read("out.jsonl")
    assert "rationale" not in answered and isinstance(answered["prediction"], str)


def test_a_split_is_scored_without_rationales_and_with_those_of_others_beside_its_own_scores(folder):
    assert main(["eval", "--run_dir", "run"]) == 0
    own = Path("run/predictions/test.jsonl").read_text()
    assert main(["eval", "--run_dir", "run", EVAL_MIX, "--gin.RationaleMix.wrong=0.5"]) == 0
    assert main(["eval", "--run_dir", "run", EVAL_MIX, "--gin.RationaleMix.without=1.0"]) == 0
    assert Path("run/predictions/test.jsonl").read_text() == own
    shown = [row["shown"] for row in read("run/predictions/test.wrong50.jsonl")]
    assert sorted(shown) == ["own"] * 4 + ["wrong"] * 3
    assert {row["shown"] for row in read("run/predictions/test.without100.jsonl")} == {"without"}
    splits = {row["split"] for row in read("run/metrics.jsonl")}
    assert {"test", "test.wrong50", "test.without100"} <= splits


def test_rows_are_predicted_with_the_rationales_of_others_each_by_its_id(folder):
    rows = [{"id": f"test-{n}", "question": "what?", "context": "sand"} for n in range(7)]
    answers = {}
    for name, order in (("there", rows), ("back", rows[::-1])):
        write_jsonl(folder / f"{name}.jsonl", order)
        Path(f"{name}.answers.jsonl").unlink(missing_ok=True)
        words = [f"--gin.predict.input={name}.jsonl", f"--gin.predict.output={name}.answers.jsonl"]
        mix = ["--gin.predict.rationale_mix=@RationaleMix()", "--gin.RationaleMix.wrong=0.6"]
        assert main(["predict", "--run_dir", "run", *words, *mix]) == 0
        answers[name] = {row["id"]: (row["rationale"], row["shown"]) for row in read(f"{name}.answers.jsonl")}
    assert answers["there"] == answers["back"]
    kinds = [shown for _, shown in answers["there"].values()]
    assert set(kinds) == {"own", "wrong"}
    for id, (rationale, shown) in answers["there"].items():
        assert (rationale == f"it is stone {id[5:]}") == (shown == "own")
        assert rationale.startswith("it is stone ")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train", [*MIXED, "--gin.Experiment.variant=instruction"]),
        ("eval", [EVAL_MIX, "--gin.Experiment.variant=instruction"]),
    ],
)
def test_nothing_is_mixed_where_no_rationale_is_read(folder, capsys, command, words):
    flags = ["--gin_file", "world.gin", "--run_dir", "other"] if command == "train" else ["--run_dir", "run"]
    assert main([command, *flags, *words]) == 2
    assert (
        "rationale_mix: expected the variant 'fiat', which reads rationales, found" in capsys.readouterr().err
    )
