"""A run asked from Python: what it answers, of which rows, and where rationales come from."""

import json
from pathlib import Path

import pytest
from study.conftest import example

import fiat_jax
from fiat_jax.cli import main

SHORT = ("--gin.Tuning.steps=4", "--gin.Tuning.eval_every=0", "--gin.Tuning.save_every=0")


@pytest.fixture
def run(world):
    assert main(["train", "--gin_file", "world.gin", "--run_dir", "run", *SHORT]) == 0
    return "run"


def unlabelled(n, **fields):
    row = example("test", n) | fields
    del row["answer"]
    return row


def test_a_predictor_answers_a_list_in_order_as_eval_answers_the_split(run):
    rows = [unlabelled(n, extra=[n]) for n in range(7)]
    with fiat_jax.open_predictor(run, batch_size=3) as predictor:
        answered = predictor(rows)
        assert predictor(rows[::-1]) == answered[::-1]
        assert predictor([]) == []
    assert [{name: row[name] for name in rows[0]} for row in answered] == rows
    assert all(row["rationale"] == f"it is stone {n}" for n, row in enumerate(answered))
    assert all(isinstance(row["score"], float) and row["tokens"] >= 0 for row in answered)
    assert main(["eval", "--run_dir", run]) == 0
    scored = map(json.loads, Path("run/predictions/test.jsonl").read_text().splitlines())
    assert {row["id"]: row["prediction"] for row in scored} == {
        row["id"]: row["prediction"] for row in answered
    }
