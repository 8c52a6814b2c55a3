"""Rows of public formats as flat rows; the golden files of the recipes hold the usual ones."""

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from recipes import FIXTURES, link_data, small
from rows import write_jsonl

from fiat_jax import load_task
from fiat_jax.data.parts import parts_of
from fiat_jax.data.preprocessors.base import Misfit
from fiat_jax.data.preprocessors.choices import Aqua, CommonsenseQa
from fiat_jax.data.preprocessors.inference import Esnli, XorAttriqa
from fiat_jax.data.preprocessors.problems import Gsm8k, Mgsm, StrategyQa
from fiat_jax.data.preprocessors.qa import AfriqaGold, Squad, TydiqaGoldp
from fiat_jax.data.sources import Jsonl, Parquet
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.errors import DataError

FLAT = {"id": "1", "question": "q", "context": "c", "title": "t"}
ATTRIQA = {
    "query": "q",
    "query_language": "fi",
    "prediction": "p",
    "passage_in_language": "own",
    "passage_en": "english",
    "passage_retrieved_language": "en",
    "ais": False,
}


def only(preprocessor, fields):
    (row,) = preprocessor.rows(fields)
    return row


def test_squad_is_one_question_a_row_too_with_each_answer_once():
    answers = {"text": ["a", "b", "a"], "answer_start": [1, 2, 1]}
    assert only(Squad(), {**FLAT, "answers": answers}) == {**FLAT, "answer": ["a", "b"]}
    nothing = {"text": [], "answer_start": []}
    assert only(Squad(), {**FLAT, "answers": nothing})["answer"] == []


def test_an_article_gives_each_question_with_its_passage():
    articles = json.loads((FIXTURES / "squad" / "train-v1.1.json").read_text())["data"]
    rows = list(Squad().rows(articles[0]))
    assert [(row["id"], row["title"], row["answer"]) for row in rows] == [
        ("5a01", "Brenna_lighthouse", ["Ida Holm"]),
        ("5a02", "Brenna_lighthouse", ["31 metres"]),
    ]
    assert rows[0]["context"] == rows[1]["context"]


@pytest.mark.parametrize(
    ("passage", "retrieved", "read"),
    [
        ("retrieved", "en", "english"),
        ("retrieved", "fi", "own"),
        ("in_language", "en", "own"),
        ("in_english", "fi", "english"),
    ],
)
def test_the_passage_is_the_one_that_was_retrieved_unless_told_otherwise(passage, retrieved, read):
    row = only(XorAttriqa(passage), {**ATTRIQA, "passage_retrieved_language": retrieved})
    assert (row["passage"], row["answer"], row["language"]) == (read, "false", "fi")


def test_labels_and_numbers_come_as_the_parquet_files_have_them_too():
    row = {"premise": "p", "hypothesis": "h", "label": 2, "explanation_1": "e"}
    assert only(Esnli(), row)["answer"] == "contradiction"
    assert only(Mgsm(), {"question": "q", "answer": None, "answer_number": 7})["answer"] == "7"
    choices = {"label": ["A", "B"], "text": ["yes", "no"]}
    found = only(CommonsenseQa(), {"id": "1", "question": "q", "choices": choices, "answerKey": "B"})
    assert found == {"id": "1", "question": "q", "choices": "yes, no", "answer": "no"}


@pytest.mark.parametrize(
    ("preprocessor", "fields", "said"),
    [
        (Squad(), FLAT, "expected a field 'answers.text', found 'id', 'question', 'context', 'title'"),
        (Squad(), {"paragraphs": [{"context": "c"}]}, "expected a field 'qas', found 'context'"),
        (Squad(), {"paragraphs": "c"}, "expected a list of objects in field 'paragraphs', found 'c'"),
        (
            TydiqaGoldp(),
            {**FLAT, "answers": {"text": ["a"]}},
            "expected an id that begins with a language, as 'finnish-', found '1'",
        ),
        (XorAttriqa(), {**ATTRIQA, "ais": "yes"}, "expected true or false in field 'ais', found 'yes'"),
        (XorAttriqa(), {**ATTRIQA, "query": None}, "expected a field 'query', found null there"),
        (
            AfriqaGold(),
            {**FLAT, "question_lang": "q", "answer_pivot": {"text": "a"}},
            "expected a list of texts in field 'answer_pivot.text', found 'a'",
        ),
        (
            Esnli(),
            {"premise": "p", "hypothesis": "h", "label": -1},
            "expected 0, 1 or 2 in field 'label', found -1",
        ),
        (Gsm8k(), {"question": "q", "answer": "7"}, "expected '####' and a number in field 'answer', found"),
        (
            StrategyQa(),
            {"qid": "1", "question": ["q"]},
            r"expected text in field 'question', found \['q'\]",
        ),
        (
            CommonsenseQa(),
            {"id": "1", "question": {"stem": "q", "choices": []}, "answerKey": "F"},
            "in field 'answerKey', found 'F'",
        ),
        (
            Aqua(),
            {"question": "q", "options": ["A)1"], "correct": "C", "rationale": "r"},
            "expected the letter of an option in field 'correct', found 'C'",
        ),
        (
            Aqua(),
            {"question": "q", "options": ["1"]},
            r"expected options such as 'A\)125' in field 'options'",
        ),
    ],
)
def test_a_row_of_another_format_is_told_by_its_field(preprocessor, fields, said):
    with pytest.raises(Misfit, match=said):
        list(preprocessor.rows(fields))


def task(source, preprocessor, **settings):
    template = Template(input="{question}", cut="")
    return Task(
        "t", source=source, preprocessor=preprocessor, template=template, vocabulary="byte", **settings
    )


def test_what_is_wrong_in_a_row_is_said_with_file_and_line(tmp_path):
    path = write_jsonl(tmp_path / "r.jsonl", [{"question": "q", "answer": "#### 1"}, {"question": "r"}])
    wrong = task(Jsonl(train=path), Gsm8k())
    said = rf"{path}:2: expected a field 'answer', found 'question' \(as Gsm8k reads it\); mend the row, or"
    with pytest.raises(DataError, match=said):
        list(wrong.rows("train"))


def test_rows_that_repeat_are_told_apart_by_a_number_and_ids_that_repeat_are_refused(tmp_path):
    rows = [{"question": "q", "answer": "#### 1"}] * 2 + [{"question": "q", "answer": "#### 2"}]
    path = write_jsonl(tmp_path / "r.jsonl", rows)
    first, second, third = (row["id"] for row in task(Jsonl(train=path), Gsm8k()).rows("train"))
    assert second == f"{first}-2" and third not in (first, second)
    twice = write_jsonl(tmp_path / "s.jsonl", [{**FLAT, "answers": {"text": ["a"]}}] * 2)
    with pytest.raises(DataError, match=r"s\.jsonl:2: expected each id once, but '1' is at .*s\.jsonl:1 too"):
        list(task(Jsonl(train=twice), Squad()).rows("train"))


def test_what_json_lines_hold_parquet_holds_too(tmp_path):
    rows = [json.loads(line) for line in (FIXTURES / "gsm8k" / "train.jsonl").read_text().splitlines()]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "train.parquet")
    lines = task(Jsonl(train=str(FIXTURES / "gsm8k" / "train.jsonl")), Gsm8k())
    columns = task(Parquet(train=str(tmp_path / "train.parquet")), Gsm8k())
    assert list(columns.rows("train")) == list(lines.rows("train"))


@pytest.mark.parametrize("name", ["xquad", "mgsm", "esnli", "xor_attriqa", "afriqa_gold", "ecqa"])
def test_the_parts_of_a_recipe_have_its_rows(name, tmp_path, monkeypatch):
    link_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    whole = load_task(f"recipes/{name}.gin", *small(name))
    for split in whole.splits():
        found = []
        for part in parts_of(whole, split):
            pattern = Path(part.place)
            for path in sorted(pattern.parent.glob(pattern.name)):
                with path.open("rb") as file:
                    found += [row for _, row in part.rows(file, str(path))]
        assert sorted(found, key=str) == sorted(whole.rows(split), key=str)
