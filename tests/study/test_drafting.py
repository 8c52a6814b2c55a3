"""`fiat predict` with a draft that runs ahead: the same answers; and what it cannot run ahead of."""

import json
from pathlib import Path

import pytest
from study.conftest import write_jsonl

from fiat_jax.cli import main

ROWS = [{"id": str(n), "question": f"what lies at {n}?", "context": "sand " * n} for n in range(5)]
DRAFT = ("--gin.predict.draft=@Draft()", "--gin.Draft.path=model", "--gin.Draft.dtype=float32")


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    write_jsonl(trained / "few.jsonl", ROWS)
    write_jsonl(trained / "few_why.jsonl", [{"id": row["id"], "rationale": "because"} for row in ROWS])
    for path in trained.glob("drafted_*"):
        path.unlink()
    return trained


def predict(output, *more):
    settings = {"input": "few.jsonl", "output": output, "rationales": "few_why.jsonl", "batch_size": 2}
    flags = [f"--gin.predict.{name}={value}" for name, value in settings.items()]
    return main(["predict", "--run_dir", "run", *flags, *more])


def answers(name):
    rows = [json.loads(line) for line in Path(name).read_text().splitlines()]
    return [(row["id"], row["prediction"], row["tokens"]) for row in rows]


def test_the_answers_are_those_without_a_draft(folder):
    assert predict("drafted_not.jsonl") == 0 == predict("drafted_yes.jsonl", *DRAFT)
    assert answers("drafted_yes.jsonl") == answers("drafted_not.jsonl")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--gin.predict.search=@Sample()"], "expected a plain Greedy search without bounds to run ahead of"),
        (["--gin.predict.bounds=@Bounds()"], "expected a plain Greedy search without bounds to run ahead of"),
        (["--gin.Draft.ahead=0"], "Draft.ahead: expected 1 or more, found 0"),
        (["--gin.Draft.path=nowhere"], "nowhere"),
    ],
)
def test_a_draft_that_cannot_run_ahead_is_refused(folder, capsys, more, message):
    assert predict("drafted_no.jsonl", *DRAFT, *more) == 2
    assert message in capsys.readouterr().err
