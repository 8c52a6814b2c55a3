"""The rationale store: what it keeps, which rationale it gives, and what it refuses."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat_jax.errors import DataError
from fiat_jax.reasoning import Completion, Store, export_jsonl, open_rationales
from fiat_jax.reasoning.calls import Answer, Outcome
from fiat_jax.reasoning.store import cut_at_limit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "rationales.sqlite"


def annotated(path: Path, prompt: str, *ids: str) -> list[str]:
    """Annotates ids under a prompt, and says which of them were asked."""
    with Store(path) as store:
        keys = {id: f"{prompt} {id}" for id in ids}
        answered = store.plan({"prompt": prompt}, "m", keys)
        asked = [id for id, key in keys.items() if key not in answered]
        for id in asked:
            store.put(keys[id], Completion(f"{prompt} says {id}"))
    return asked


def test_the_rationale_of_the_prompt_annotated_last_is_given(path: Path) -> None:
    annotated(path, "one", "a", "b")
    annotated(path, "two", "a", "b")
    assert open_rationales(path) == {"a": "two says a", "b": "two says b"}


def test_going_back_to_an_earlier_prompt_asks_nothing(path: Path) -> None:
    annotated(path, "one", "a", "b")
    annotated(path, "two", "a", "b")
    assert annotated(path, "one", "a", "b") == []
    assert open_rationales(path) == {"a": "one says a", "b": "one says b"}


def test_two_prompts_are_not_mixed_where_one_has_replaced_a_part_of_the_other(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    annotated(path, "one", "a", "b", "c")
    annotated(path, "two", "a")
    assert open_rationales(path) == {"a": "two says a"}
    assert "2 examples have a rationale of an earlier prompt only" in caplog.text
    assert annotated(path, "two", "a", "b", "c") == ["b", "c"]
    assert open_rationales(path) == {id: f"two says {id}" for id in "abc"}


def test_prompts_over_different_examples_stand_side_by_side(path: Path) -> None:
    annotated(path, "bn", "a")
    annotated(path, "te", "b")
    assert open_rationales(path) == {"a": "bn says a", "b": "te says b"}


def test_a_changed_example_loses_its_old_rationale_at_once(path: Path) -> None:
    annotated(path, "one", "a", "b")
    with Store(path) as store:
        assert set(store.plan({"prompt": "one"}, "m", {"a": "one changed a", "b": "one b"})) == {"one b"}
    assert open_rationales(path) == {"b": "one says b"}


def test_an_answer_is_seen_from_outside_as_soon_as_it_is_put(path: Path) -> None:
    with Store(path) as store:
        store.plan({}, "m", {"a": "k"})
        assert open_rationales(path) == {}
        store.put("k", Completion("since"))
        assert open_rationales(path) == {"a": "since"}


def test_threads_may_put_at_once(path: Path) -> None:
    with Store(path) as store:
        keys = {f"{n}": f"k{n}" for n in range(64)}
        store.plan({}, "m", keys)
        threads = [
            threading.Thread(
                target=lambda n=n: [store.put(f"k{m}", Completion("t")) for m in range(n, 64, 8)]
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert open_rationales(path) == dict.fromkeys(keys, "t")


def test_a_row_says_who_wrote_it_from_what_and_when(path: Path) -> None:
    with Store(path) as store:
        store.plan({"model": "m-7"}, "m-7", {"a": "k"})
        store.put("k", Completion("since", 11, 7, "stop"))
    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        row = dict(db.execute("SELECT * FROM rationales").fetchone())
    assert row["time"].endswith("+00:00") and len(row["prompt"]) == 64
    assert {name: row[name] for name in ("id", "rationale", "model", "key")} == {
        "id": "a",
        "rationale": "since",
        "model": "m-7",
        "key": "k",
    }
    assert (row["prompt_tokens"], row["completion_tokens"], row["finish_reason"]) == (11, 7, "stop")


def test_a_closed_store_is_one_file(path: Path) -> None:
    annotated(path, "one", "a")
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_outcomes_are_folded_in_all_or_none_and_the_earliest_answer_stays(path: Path) -> None:
    def outcomes(fail: bool) -> Iterator[Outcome]:
        yield Outcome("k-a", ("a", "b"), Answer(Completion("since", 11, 7, "stop"), "2026-01-01"))
        yield Outcome("k-c", ("c",), Answer(Completion("later"), "2026-01-01"))
        yield Outcome("k-d", ("d",), failure="no luck")
        if fail:
            raise DataError("broken off")

    with Store(path) as store:
        store.plan({"prompt": "one"}, "m", {"c": "k-c"})
        store.put("k-c", Completion("first", finish_reason="length"))
        with pytest.raises(DataError, match="broken off"):
            store.fold({"prompt": "two"}, "m", outcomes(fail=True))
        assert open_rationales(path) == {"c": "first"}
        assert list(store.answered()) == [("k-c", "length")]
        store.fold({"prompt": "one"}, "m", outcomes(fail=False))
    assert open_rationales(path) == {"a": "since", "b": "since", "c": "first"}
    with sqlite3.connect(path) as db:
        assert ("d", "k-d") in set(db.execute("SELECT id, key FROM requests"))


def test_an_export_reads_back_the_same(path: Path, tmp_path: Path) -> None:
    annotated(path, "one", "a", "b")
    rationales = dict(open_rationales(path)) | {"ọ": 'line\nline \u2028 "x" {y}'}
    export_jsonl(rationales, tmp_path / "r.jsonl")
    assert open_rationales(tmp_path / "r.jsonl") == rationales
    assert sorted(each.name for each in tmp_path.iterdir()) == ["new", "r.jsonl"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ('{"id": "a", "rationale": "x"}\n\n{"id": "a", "rationale": "y"}', r":3: .*'a' is on line 1 too"),
        ('{"id": "a", "rationale": " "}', ":1: expected text as 'rationale'"),
        ('{"id": "a", "rationale": 3}', ":1: expected text as 'rationale'"),
        ('{"id": "a"}', ":1: expected a field 'rationale'"),
        ('{"id": "a", ', ":1: expected a JSON object, found broken JSON"),
    ],
)
def test_a_bad_row_of_a_jsonl_file_is_named_by_file_and_line(tmp_path: Path, rows: str, says: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(rows)
    with pytest.raises(DataError, match=r"r\.jsonl" + says):
        open_rationales(path)


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.sqlite"):
        open_rationales(tmp_path / "none.sqlite")


def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    for use in (Store, open_rationales):
        with pytest.raises(DataError, match=r"other\.sqlite: expected a rationale store"):
            use(path)
    assert path.read_bytes() == before


def test_a_store_path_that_is_a_text_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rationales.jsonl"
    path.write_text('{"id": "a", "rationale": "x"}\n' * 20)
    with pytest.raises(DataError, match="expected a rationale store"):
        Store(path)


def test_a_file_says_what_was_cut_if_any_of_its_rows_do(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    rows = [{"id": "a", "rationale": "so", "finish_reason": "length"}, {"id": "b", "rationale": "thus"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cut_at_limit(path) == {("a", "so")}
    path.write_text(json.dumps(rows[1]) + "\n")
    assert cut_at_limit(path) is None
