"""A run whose labels are written otherwise: what people see of it is the labels."""

import json
import shutil
from pathlib import Path

import pytest
from study.conftest import example, write_jsonl

from fiat_jax.cli import main

WRITTEN = [
    "--gin.Task.name=sides",
    "--gin.Template.verbaliser={'left': 'stone 1', 'right': 'stone 2'}",
    "--gin.Template.no_answer=none",
    "--gin.Template.instructions={'aa': ('Answer.', 'Say.'), 'bb': ('Zaa.', 'Za.')}",
    "--gin.Template.choice=mixed",
    "--gin.Task.inputs_length=64",
    "--gin.Bounds.passage=",
    "--gin.Bounds.labels=('left', 'right', 'none')",
]


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """The working directory: a run, and splits of labels."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    answers = ["left", "right", ["right", "left"], None, "left", ""]
    for split in ("train", "test"):
        rows = [example(split, n) | {"answer": answer} for n, answer in enumerate(answers)]
        write_jsonl(tmp_path / f"{split}.jsonl", rows)


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_evaluation_and_prediction_give_labels_and_say_what_was_cut(run, capsys):
    assert main(["eval", "--run_dir", "run", "--gin.eval.bounds=@Bounds()", *WRITTEN]) == 0
    table = capsys.readouterr().out
    scored = lines("run/predictions/test.jsonl")
    assert {row["prediction"] for row in scored} <= {"left", "right", "none"}
    assert sorted(row["answers"] for row in scored) == sorted(
        [["left"], ["right"], ["right", "left"], ["none"], ["left"], ["none"]]
    )
    cut = [row["cut"] for row in scored if row["cut"]]
    assert cut and all(0 < one["context"] <= 1 for one in cut)
    mean = 100 * sum(one["context"] for one in cut) / len(cut)
    assert f"\n{len(cut)} cut (on average context by {mean:.0f} %)\n" in table
    words = [
        "--gin.predict.bounds=@Bounds()",
        "--gin.predict.input=test.jsonl",
        "--gin.predict.output=o.jsonl",
    ]
    assert main(["predict", "--run_dir", "run", *words, *WRITTEN]) == 0
    by_id = {row["id"]: row for row in scored}
    for row in lines("o.jsonl"):
        assert row["prediction"] == by_id[row["id"]]["prediction"]
        assert row.get("cut", {}) == by_id[row["id"]]["cut"]
