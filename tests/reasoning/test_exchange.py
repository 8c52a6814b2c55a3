"""Answers out of a store and into another: nothing lost, nothing doubled, conflicts said."""

import json
from pathlib import Path

import pytest
from test_annotate import Model, rows, run
from test_store_formats import first  # noqa: F401

from fiat_jax.cli.rationales import rationales
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning import Completion, Prompt, Store, open_rationales


def written(folder: Path, name: str, prompt: str = "one", **answers: str) -> str:
    """A store with answers to a prompt, by example id."""
    path = folder / f"{name}.sqlite"
    with Store(path) as store:
        keys = {id: f"{prompt} {id}" for id in answers}
        store.plan({"prompt": prompt}, "m", keys)
        for id, text in answers.items():
            store.put(keys[id], Completion(text, 11, 7, "stop", 3, "m-2026", "fp"), seconds=0.5)
    return str(path)


def contents(store: str, folder: Path) -> list[dict[str, object]]:
    rationales(store, output=str(folder / "all.jsonl"))
    return [json.loads(line) for line in (folder / "all.jsonl").read_text().split("\n")[:-1]]


def test_stores_are_merged_by_request_and_a_second_time_adds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = written(tmp_path, "one", a="x", b="y"), written(tmp_path, "two", b="y", c="z")
    rationales(one, add=(two,))
    assert "1 answers added, 1 known already, 0 in conflict" in capsys.readouterr().out
    assert open_rationales(one) == {"a": "x", "b": "y", "c": "z"}
    rationales(one, add=(two,))
    assert "0 answers added, 2 known already, 0 in conflict" in capsys.readouterr().out


def test_another_answer_to_the_same_request_is_a_conflict_and_the_stores_own_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = written(tmp_path, "one", a="x"), written(tmp_path, "two", a="other", b="y")
    rationales(one, add=(two,))
    assert "1 answers added, 0 known already, 1 in conflict" in capsys.readouterr().out
    assert open_rationales(one) == {"a": "x", "b": "y"}


def test_lines_carry_all_of_a_store_into_a_new_one(tmp_path: Path) -> None:
    one = written(tmp_path, "one", a="x ọ \u2028", b="y")
    written(tmp_path, "one", "two", a="z")
    lines = contents(one, tmp_path)
    assert lines[0] | {"time": ""} == {
        "id": "a",
        "model": "m",
        "prompt": lines[1]["prompt"],
        "template": {"prompt": "one"},
        "key": "one a",
        "rationale": "x ọ \u2028",
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "finish_reason": "stop",
        "time": "",
        "cached_tokens": 3,
        "seconds": 0.5,
        "served_model": "m-2026",
        "fingerprint": "fp",
    }
    assert "template" not in lines[1] and lines[2]["template"] == {"prompt": "two"}
    new = str(tmp_path / "new.sqlite")
    rationales(new, add=(str(tmp_path / "all.jsonl"),))
    assert contents(new, tmp_path) == lines
    assert open_rationales(new) == open_rationales(one)


def test_the_latest_prompt_of_a_store_stays_the_latest(tmp_path: Path) -> None:
    one, two = written(tmp_path, "one", "one", a="x"), written(tmp_path, "two", "two", a="z")
    rationales(one, add=(two,))
    assert open_rationales(one) == {"a": "x"}


def test_an_annotation_goes_on_from_what_was_taken_in(tmp_path: Path) -> None:
    early, late = tmp_path / "1.sqlite", tmp_path / "2.sqlite"
    run(early, Model(), rows("a", "b", "a"), prompt=Prompt("{question}"))
    rationales(str(early), output=str(tmp_path / "r.jsonl"))
    rationales(str(late), add=(str(tmp_path / "r.jsonl"),))
    model = Model()
    assert run(late, model, rows("a", "b", "a", "c")).answered == 4
    assert model.asked == {"c": 1}


def test_a_store_of_the_first_format_is_taken_in(first: Path, tmp_path: Path) -> None:  # noqa: F811
    new = str(tmp_path / "new.sqlite")
    rationales(new, add=(str(first),))
    assert open_rationales(new) == {"a": "since"}


def test_an_example_that_is_another_text_there_is_a_conflict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "1.sqlite", Model(), rows("a", "b"))
    run(tmp_path / "2.sqlite", Model(), rows("a", "changed"))
    rationales(str(tmp_path / "1.sqlite"), add=(str(tmp_path / "2.sqlite"),))
    assert "0 answers added, 1 known already, 1 in conflict" in capsys.readouterr().out
    assert open_rationales(tmp_path / "1.sqlite") == {"e-0": "re a", "e-1": "re b"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": None}, r":2: expected text as 'key', found None"),
        ({"seconds": "soon"}, r":2: expected a number or null as 'seconds', found 'soon'"),
        ({"template": {"prompt": "other"}}, r":2: expected the template that 'prompt' is the hash of"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_taken(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    good, bad = contents(written(tmp_path, "one", a="x", b="y"), tmp_path)
    path = tmp_path / "bad.jsonl"
    path.write_text(f"{json.dumps(good)}\n{json.dumps(bad | change)}\n")
    new = str(tmp_path / "new.sqlite")
    with pytest.raises(DataError, match=r"bad\.jsonl" + says):
        rationales(new, add=(str(path),))
    assert open_rationales(new) == {}


def test_plain_rationales_are_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "plain.jsonl"
    path.write_text('{"id": "a", "rationale": "x"}\n')
    with pytest.raises(DataError, match=r"plain\.jsonl:1: expected a field 'model'"):
        rationales(str(tmp_path / "new.sqlite"), add=(str(path),))


def test_a_command_that_would_do_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found neither"):
        rationales(written(tmp_path, "one", a="x"))
    with pytest.raises(DataError, match=r"none\.sqlite: expected a rationale store, found none"):
        rationales(str(tmp_path / "none.sqlite"), output=str(tmp_path / "r.jsonl"))
    with pytest.raises(ConfigError, match="expected a place to write to, but No such file"):
        rationales(written(tmp_path, "one", a="x"), output=str(tmp_path / "none" / "r.jsonl"))
