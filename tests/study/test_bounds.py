"""Answers of a run within bounds: taken from each row's own passage, or from the labels."""

import json
from pathlib import Path

import pytest
from study.conftest import write_jsonl

from fiat_jax.cli import main
from fiat_jax.errors import ConfigError
from fiat_jax.study.bounds import Bounds

ROWS = [
    {"id": str(n), "question": f"what lies at {n}?", "context": context}
    for n, context in enumerate(["at 0 lies stone 0.", "sand and gravel", "x", ""])
]


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    write_jsonl(trained / "some.jsonl", ROWS)
    write_jsonl(trained / "why.jsonl", [{"id": row["id"], "rationale": "because"} for row in ROWS])
    (trained / "bounded.jsonl").unlink(missing_ok=True)
    (trained / "bounded.jsonl.state.json").unlink(missing_ok=True)
    return trained


def predict(*more):
    settings = {
        "input": "some.jsonl",
        "output": "bounded.jsonl",
        "rationales": "why.jsonl",
        "bounds": "@Bounds()",
    }
    flags = [f"--gin.predict.{name}={value}" for name, value in settings.items()]
    return main(["predict", "--run_dir", "run", *flags, *more])


def answers():
    return [json.loads(line)["prediction"] for line in Path("bounded.jsonl").read_text().splitlines()]


def test_predictions_are_spans_of_their_passage_or_labels(folder):
    assert predict("--gin.Bounds.labels=('nothing',)") == 0
    for row, answer in zip(ROWS, answers(), strict=True):
        assert answer == "nothing" or (answer and answer in row["context"])
    assert answers()[3] == "nothing"


def test_a_row_without_a_passage_and_no_labels_is_named(folder, capsys):
    assert predict() == 3
    assert (
        "example 3: expected context to have words that an answer could be taken from"
        in capsys.readouterr().err
    )


def test_eval_answers_within_bounds_too(folder):
    flags = ["--gin.eval.bounds=@Bounds()", "--gin.Bounds.passage=", "--gin.Bounds.labels=('yes', 'no')"]
    assert main(["eval", "--run_dir", "run", *flags]) == 0
    lines = (folder / "run" / "predictions" / "test.jsonl").read_text().splitlines()
    assert lines and {json.loads(line)["prediction"] for line in lines} <= {"yes", "no"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--gin.Bounds.passage=text", "Bounds.passage: expected a field of the template's input"),
        (
            "--gin.Bounds.labels=('a label that is far too long',)",
            "Bounds.labels: expected a target of at most",
        ),
    ],
)
def test_bounds_that_the_task_cannot_have_are_refused(folder, capsys, more, message):
    assert predict(more) != 0
    assert message in capsys.readouterr().err


def test_bounds_of_nothing_are_refused():
    with pytest.raises(ConfigError, match="Bounds: expected a passage, labels or both, found neither"):
        Bounds(passage="")
