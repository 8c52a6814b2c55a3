"""Stores of earlier formats open, and what the present one keeps of each answer."""

import sqlite3
from pathlib import Path

import pytest

from fiat_jax.errors import DataError, FiatError
from fiat_jax.reasoning import Completion, Store, open_rationales
from fiat_jax.reasoning.calls import digest
from fiat_jax.reasoning.holdings import holdings
from fiat_jax.reasoning.sent import note

TEMPLATE = {"model": "m"}
WRITTEN = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
FIRST = f"""
CREATE TABLE prompts (prompt TEXT PRIMARY KEY, model TEXT NOT NULL, template TEXT NOT NULL,
   turn INTEGER NOT NULL);
CREATE TABLE requests (id TEXT, prompt TEXT, key TEXT NOT NULL, PRIMARY KEY (id, prompt));
CREATE TABLE completions (key TEXT PRIMARY KEY, rationale TEXT NOT NULL, prompt_tokens INTEGER,
   completion_tokens INTEGER, finish_reason TEXT, time TEXT NOT NULL);
CREATE VIEW rationales AS
   SELECT id, rationale, model, prompt, turn, key, prompt_tokens, completion_tokens, finish_reason, time
   FROM requests JOIN prompts USING (prompt) JOIN completions USING (key);
PRAGMA application_id = {0x46494131};
INSERT INTO prompts VALUES ('{digest(TEMPLATE)}', 'm', '{{"model":"m"}}', 1);
INSERT INTO requests VALUES ('a', '{digest(TEMPLATE)}', 'k-a'), ('b', '{digest(TEMPLATE)}', 'k-b');
INSERT INTO completions VALUES ('k-a', 'since', 11, 7, 'stop', '2026-01-01T00:00:00+00:00');
"""
SECOND = (
    *(f"ALTER TABLE completions ADD COLUMN {name}" for name in ("cached_tokens INTEGER", "seconds REAL")),
    *(f"ALTER TABLE completions ADD COLUMN {name} TEXT" for name in ("served_model", "fingerprint")),
    """CREATE TABLE failures (key TEXT PRIMARY KEY, reason TEXT NOT NULL, times INTEGER NOT NULL,
       set_aside INTEGER NOT NULL, time TEXT NOT NULL)""",
    "DROP VIEW rationales",
    """CREATE VIEW rationales AS
       SELECT id, rationale, model, served_model, fingerprint, prompt, template, turn, key, prompt_tokens,
       completion_tokens, cached_tokens, finish_reason, seconds, time
       FROM requests JOIN prompts USING (prompt) JOIN completions USING (key)""",
)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(FIRST)
    return path


def test_a_store_of_the_first_format_is_read_and_left_as_it_was(first: Path) -> None:
    before = first.read_bytes()
    assert open_rationales(first) == {"a": "since"}
    kept = holdings(first)
    assert kept.answers == {"k-a": (11, 7, None)} and kept.failures == {}
    assert [(each.model, each.answers) for each in kept.writers] == [("m", 1)]
    assert first.read_bytes() == before


def test_a_store_of_the_first_format_is_brought_up_and_goes_on(first: Path) -> None:
    with Store(first) as store:
        assert store.plan(TEMPLATE, "m", {"a": "k-a", "b": "k-b"}) == {"k-a": "stop"}
        store.fail([("k-b", "no luck", True)])
        store.put("k-b", Completion("for", 5, 3, "stop", 4, "m-2026", "fp"), seconds=0.5)
    assert open_rationales(first) == {"a": "since", "b": "for"}
    with Store(first) as store:  # and opens again
        assert store.set_aside() == {}


def test_a_store_of_the_second_format_is_read_and_brought_up(first: Path) -> None:
    with sqlite3.connect(first) as db:
        for statement in (*SECOND, f"PRAGMA application_id = {0x46494132}"):
            db.execute(statement)
        db.execute("INSERT INTO failures VALUES ('k-b', 'no luck', 1, 1, '2026-01-01T00:00:00+00:00')")
    kept = holdings(first)
    assert kept.answers == {"k-a": (11, 7, None)} and kept.failures["k-b"].set_aside and kept.batches == []
    with Store(first) as store:
        assert store.set_aside() == {"k-b": "no luck"}
        sent = note(store, ["k-b"])
        assert store.set_aside() == {}
    assert holdings(first).batches == [sent]


def test_a_store_brought_up_is_as_one_made_now(first: Path, tmp_path: Path) -> None:
    def schema(path: Path) -> list[tuple[object, ...]]:
        with sqlite3.connect(path) as db:
            return [
                *((" ".join(sql.split()),) for (sql,) in db.execute(WRITTEN)),
                *db.execute("PRAGMA application_id"),
            ]

    Store(first).close()
    Store(tmp_path / "new.sqlite").close()
    assert schema(first) == schema(tmp_path / "new.sqlite")


def test_a_later_format_is_refused_and_left_as_it_was(first: Path) -> None:
    with sqlite3.connect(first) as db:
        db.execute(f"PRAGMA application_id = {0x46494134}")
    before = first.read_bytes()
    for use in (Store, open_rationales, holdings):
        with pytest.raises(DataError, match="or one of a later fiat_jax"):
            use(first)
    assert first.read_bytes() == before


def test_a_row_tells_all_that_is_known_of_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Store(path) as store:
        store.plan({"model": "m", "temperature": 0}, "m", {"a": "k"})
        store.put("k", Completion("since", 11, 7, "stop", 5, "m-2026-01", "fp-1"), seconds=1.25)
    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        row = dict(db.execute("SELECT * FROM rationales").fetchone())
    assert row.pop("time").endswith("+00:00")
    assert row == {
        "id": "a",
        "rationale": "since",
        "model": "m",
        "served_model": "m-2026-01",
        "fingerprint": "fp-1",
        "prompt": digest({"model": "m", "temperature": 0}),
        "template": '{"model":"m","temperature":0}',
        "turn": 1,
        "key": "k",
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "cached_tokens": 5,
        "finish_reason": "stop",
        "seconds": 1.25,
    }


def test_a_failed_commit_loses_no_answer_silently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "r.sqlite") as store:
        with monkeypatch.context() as broken:
            broken.setattr("fiat_jax.reasoning.store._COMPLETION", "INSERT INTO nowhere VALUES (?)")
            for key in ("k-1", "k-2"):
                with pytest.raises(FiatError, match="cannot be read or written"):
                    store.put(key, Completion("since"))
        store.put("k-3", Completion("since"))
        assert {key for key, _ in store.answered()} == {"k-1", "k-2", "k-3"}
