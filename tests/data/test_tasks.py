import json

import pytest
from rows import example, write_jsonl

from fiat_jax.data.rendering import render
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError, DataError

TRAIN = [example(f"{language}-{i}", language) for i in range(10) for language in ("hau", "ibo")]


def ids(rows):
    return [row["id"] for row in rows]


def test_rows_come_in_file_order_with_id_and_language_as_text(make_task):
    rows = [{**example(7), "language": 3, "more": {"kept": 1}}, example("b")]
    read = list(make_task(train=rows).rows("train"))
    assert ids(read) == ["7", "b"]
    assert read[0]["language"] == "3"
    assert read[0]["more"] == {"kept": 1}


def test_languages_choose_rows_by_their_field(make_task):
    task = make_task(train=TRAIN, languages=("ibo", "hau"))
    assert ids(task.rows("train")) == ids(TRAIN)
    assert ids(task.rows("train", ("ibo",))) == [row["id"] for row in TRAIN if row["language"] == "ibo"]


def test_languages_in_the_path_need_no_field(tmp_path, vocabulary):
    rows = {language: [{**example(language), "language": "other"}] for language in ("hau", "ibo")}
    for language in rows:
        write_jsonl(tmp_path / f"{language}.jsonl", rows[language])
    task = Task(
        "t", Jsonl(test=str(tmp_path / "{language}.jsonl")), Template(), vocabulary, languages=("ibo", "hau")
    )
    assert [row["language"] for row in task.rows("test")] == ["ibo", "hau"]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"id": None}, r"train\.jsonl:2: expected text in field 'id', found None"),
        ({"answer": None}, r"train\.jsonl:2: expected text in field 'answer', found None"),
        ({"answer": []}, r"train\.jsonl:2: expected text in field 'answer', found \[\]"),
        ({"answer": [{"text": "x"}]}, r"train\.jsonl:2: expected text in field 'answer'"),
        ({"context": ["a"]}, r"train\.jsonl:2: expected text in field 'context', found \['a'\]"),
        ({"question": "\ud800"}, r"train\.jsonl:2: expected text in field 'question'"),
        ({"id": "a"}, r"train\.jsonl:2: expected each id once, but 'a' is at .*train\.jsonl:1 too"),
    ],
)
def test_a_wrong_row_is_named_by_file_line_and_field(make_task, tmp_path, row, found):
    task = make_task(train=[example("a")])
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write(json.dumps({**example("b"), **row}) + "\n")
    with pytest.raises(DataError, match=found):
        list(task.rows("train"))


@pytest.mark.parametrize("field", ["id", "question", "context", "answer", "language"])
def test_a_missing_field_is_named_with_those_there_are(make_task, field):
    row = {name: value for name, value in example("a").items() if name != field}
    with pytest.raises(DataError, match=rf"train\.jsonl:1: expected a field '{field}', found '.*'; add it"):
        list(make_task(train=[row], languages=("hau",)).rows("train"))


def test_a_language_or_split_without_rows_is_an_error(make_task):
    task = make_task(train=TRAIN, test=[], languages=("hau", "zul"))
    with pytest.raises(DataError, match="expected rows in zul in split 'train', found none"):
        list(task.rows("train"))
    with pytest.raises(ConfigError, match="expected a split of"):
        task.rows("validation")
    with pytest.raises(ConfigError, match="expected languages of"):
        task.rows("train", ("bem",))
    with pytest.raises(DataError, match="expected rows in split 'test', found none"):
        list(make_task(test=[]).rows("test"))


def test_a_holdout_splits_train_by_language_and_loses_nothing(make_task):
    task = make_task(train=TRAIN, languages=("hau", "ibo"), holdout=3)
    assert task.splits() == ("train", "validation")
    train, held = ids(task.rows("train")), ids(task.rows("validation"))
    assert sorted(train + held) == sorted(ids(TRAIN))
    assert [sum(id.startswith(language) for id in held) for language in ("hau", "ibo")] == [3, 3]
    assert ids(task.rows("validation", ("ibo",))) == [id for id in held if id.startswith("ibo")]
    assert held == [id for id in ids(TRAIN) if id in held]


def test_a_holdout_depends_on_the_ids_alone(make_task):
    before = set(ids(make_task(train=TRAIN, languages=("hau", "ibo"), holdout=3).rows("validation")))
    after = make_task(train=[*TRAIN[::-1], example("hau-new")], languages=("hau", "ibo"), holdout=3)
    assert len(before & set(ids(after.rows("validation")))) >= 5


def test_a_holdout_larger_than_a_language_is_an_error(make_task):
    with pytest.raises(DataError, match="more than holdout = 10 training examples in hau, found 10"):
        list(make_task(train=TRAIN, languages=("hau", "ibo"), holdout=10).rows("train"))


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"name": "a-b"}, "Task.name: expected letters"),
        ({"languages": ("pt-br",)}, "Task.languages: expected letters"),
        ({"languages": ("hau", "hau")}, "expected each once"),
        (
            {"template": Template(input="{question} {answer} {context}")},
            "no label in the input, found {answer}",
        ),
        ({"answer_field": "question"}, "no label in the input, found {question}"),
        ({"metrics": ("squad", "f1")}, "Task.metrics: expected some of squad, mlqa, .*found 'squad', 'f1'"),
        ({"metrics": ()}, "Task.metrics: .*found none"),
        ({"metrics": ("squad", "squad")}, "Task.metrics: .*each once"),
        ({"mean_of": ("hau",)}, "Task.mean_of: expected languages .*which are none, found 'hau'"),
        (
            {"languages": ("hau", "ibo"), "groups": {"All": ("hau", "zul")}},
            r"Task.groups\['All'\]: expected languages of Task.languages, hau, ibo, found 'zul'",
        ),
        ({"languages": ("hau",), "groups": {"hau": ("hau",)}}, "Task.groups: .*no language has.*found 'hau'"),
        ({"languages": ("hau",), "groups": {"a/b": ("hau",)}}, "Task.groups: .*found 'a/b'"),
        ({"languages": ("hau",), "groups": {"None": ()}}, "Task.groups: .*each with languages, found 'None'"),
        ({"inputs_length": 0}, "of 1 or more"),
        ({"inputs_length": 40, "buckets": (20, 30)}, r"Task.inputs_length = 40, found \(20, 30\)"),
        ({"inputs_length": 40, "buckets": (40, 20)}, "Task.buckets: expected lengths in ascending order"),
        ({"inputs_length": 40, "buckets": (0, 40)}, "Task.buckets"),
        ({"holdout": -1}, "Task.holdout"),
        ({"holdout": 1, "validation": TRAIN}, "Task.holdout.*no 'validation'"),
        ({"rationales": {}, "languages": ()}, None),
    ],
)
def test_settings_that_cannot_be_are_refused_when_the_task_is_made(make_task, settings, found):
    if found is None:
        with pytest.raises(ConfigError, match=r"what {language} in the paths stands for"):
            Task("t", Jsonl(train="{language}.jsonl"), Template(), "byte")
    else:
        with pytest.raises(ConfigError, match=found):
            make_task(**{"train": TRAIN, **settings})


def test_the_first_of_several_answers_is_the_target_under_any_field_name(make_task):
    row = {"id": 1, "q": "who?", "p": "text", "golds": ["A", "B"]}
    task = make_task(train=[row], answer_field="golds", template=Template(input="q: {q} p: {p}", cut="p"))
    (shown,) = render(task, "plain", "train")
    assert (shown.target, shown.answers, shown.language) == ("A", ("A", "B"), "")


def test_null_in_the_input_is_read_as_empty_and_counted(make_task, caplog):
    task = make_task(train=[example("a", title=None), example("b"), example("c", title=None)])
    shown = list(render(task, "plain", "train"))
    assert "title:  context:" in shown[0].input
    assert "title is null in 2 rows, read as empty" in caplog.text


def test_rationales_join_by_id_with_white_space_collapsed(make_task):
    texts = {"b": "second\n one", "a": " first  one "}
    task = make_task(train=[example("a"), example("b")], rationales=texts)
    first, second = (shown.input for shown in render(task, "fiat", "train"))
    assert "reasoning: first one question" in first
    assert "reasoning: second one question" in second


def test_missing_rationales_are_counted_with_the_remedy(make_task):
    task = make_task(train=TRAIN, rationales={"hau-0": "text", "ibo-0": "text"})
    with pytest.raises(
        DataError,
        match=r"rationales\.jsonl: .* 20 examples, found none for 'hau-1' and 17 others; .*`fiat annotate`",
    ):
        list(render(task, "fiat", "train"))


def test_without_rationales_there_is_no_fiat_variant(make_task):
    task = make_task(train=TRAIN)
    assert task.variants() == ("plain", "instruction")
    with pytest.raises(ConfigError, match=r"found 'fiat'; set Task\.rationales"):
        list(render(task, "fiat", "train"))


def test_an_id_in_two_languages_is_an_error(tmp_path, vocabulary):
    for language in ("hau", "ibo"):
        write_jsonl(tmp_path / f"{language}.jsonl", [example("same", language)])
    task = Task(
        "t", Jsonl(test=str(tmp_path / "{language}.jsonl")), Template(), vocabulary, languages=("hau", "ibo")
    )
    with pytest.raises(
        DataError, match=r"example same: expected each id once in all languages, .* hau and in ibo"
    ):
        list(render(task, "plain", "test"))


def test_a_target_that_is_too_long_is_named(make_task):
    task = make_task(train=[example("a"), example("b", answer="word " * 100)])
    with pytest.raises(DataError, match="example b: expected a target of at most 64 tokens, found"):
        list(render(task, "plain", "train"))
