from dataclasses import replace

import pytest
from rows import write_jsonl

from fiat_jax.cli.tasks import tasks
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError

IDS = [f"{language}-{i}" for language in ("hau", "ibo") for i in range(3)]


@pytest.fixture
def task(tmp_path):
    row = {"question": "who?", "context": "He wrote it. ", "answer": "He"}
    write_jsonl(tmp_path / "train.jsonl", [{**row, "id": id, "language": id[:3]} for id in IDS])
    write_jsonl(tmp_path / "rationales.jsonl", [{"id": id, "rationale": "So it is."} for id in IDS])
    return Task(
        "books",
        Jsonl(train=str(tmp_path / "train.jsonl")),
        Template(input="question: {question} context: {context}", instruction="Answer."),
        "byte",
        rationales=str(tmp_path / "rationales.jsonl"),
        languages=("hau", "ibo"),
        holdout=1,
    )


def test_it_shows_names_counts_and_what_the_model_reads(task, capsys):
    tasks(task)
    out = capsys.readouterr().out
    assert "books.fiat          books.hau.fiat  books.ibo.fiat" in out
    assert "split       hau  ibo  all\ntrain         2    2    4\nvalidation    1    1    2\n" in out
    assert (
        "input   Answer. reasoning: So it is. question: who? context: He wrote it.\n    target  He\n" in out
    )
    assert "of 512 tokens, 0 unknown; of 4 examples 0 cut" in out


def test_what_is_cut_is_said_of_the_example_and_of_all(task, capsys):
    template = replace(task.template, cut=("rationale", "context"), rationale_tokens=5)
    tasks(replace(task, template=template, inputs_length=43))
    out = capsys.readouterr().out
    assert "books.plain  train example hau-0: 38 of 43 tokens, 0 unknown; of 4 examples 0 cut" in out
    assert "43 tokens, 0 unknown, rationale cut by 100 %, context cut by 38 %; of 4 examples" in out
    assert "4 cut (on average rationale by 100 %, context by 38 %)" in out


def test_before_annotation_the_other_variants_are_shown(task, tmp_path, capsys):
    (tmp_path / "rationales.jsonl").unlink()
    tasks(task)
    out = capsys.readouterr().out
    assert "books.instruction  train example" in out
    assert "books.fiat  no rationales yet: `fiat annotate` writes" in out


def test_an_example_that_is_not_there_is_an_error(task):
    with pytest.raises(ConfigError, match="expected a position below 2 in split validation, found 5"):
        tasks(task, split="validation", example=5)


def test_rationales_too_long_to_be_learned_hide_nothing_else(task, capsys):
    tasks(replace(task, targets_length=5))
    out = capsys.readouterr().out
    assert "books.fiat  train example" in out
    assert "books.explanation  cannot be learned as it is: task books, example" in out
    assert "expected a target of at most 5 tokens" in out
