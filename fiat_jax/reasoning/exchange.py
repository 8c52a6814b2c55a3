"""Answers out of a store and into another, with all that is known of them."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fiat_jax.errors import ConfigError, DataError
from fiat_jax.paths import at, is_remote, local_copy, reason
from fiat_jax.reasoning.calls import GIVEN_LABEL, canonical, digest
from fiat_jax.reasoning.schema import MAGIC, format_of, reading
from fiat_jax.reasoning.store import Store, is_marked
from fiat_jax.records import numbered_jsonl

_PROMPT = ("id", "model", "prompt", "template")
_FIRST = ("key", "rationale", "prompt_tokens", "completion_tokens", "finish_reason", "time")
_SECOND = (*_FIRST, "cached_tokens", "seconds", "served_model", "fingerprint")
_TEXTS = ("id", "rationale", "model", "prompt", "key", "time")
_COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens", "seconds")


class Taken(NamedTuple):
    """What has become of the rows that a store was given.

    Attributes:
      added: answers that it did not have.
      known: answers that it had already.
      conflicts: those that it has another answer to, or another request of the same example; its own is kept.
    """

    added: int
    known: int
    conflicts: int

    def __str__(self) -> str:
        return f"{self.added} answers added, {self.known} known already, {self.conflicts} in conflict"


def rows_of(place: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The answers of a store, or of a file that `write_rows` has made, each with where it stands.

    Raises:
      DataError: the file is absent or neither of the two.
    """
    path = at(place)
    if path.is_file():
        with path.open("rb") as file:
            is_store = file.read(len(MAGIC)) == MAGIC
        if is_store:
            yield from _of_store(local_copy(path))
            return
    templates: dict[str, Any] = {}
    for line, row in numbered_jsonl(path, required=_TEXTS):
        where = f"{place}:{line}"
        _check(row, where)
        template = templates.setdefault(row["prompt"], row.get("template"))
        if template is not None and is_marked(row, where) != bool(template.get(GIVEN_LABEL)):
            raise DataError(
                f"{where}: expected {GIVEN_LABEL!r} as the template of its prompt has it, found "
                f"{row.get(GIVEN_LABEL)!r}."
            )
        yield where, row | {"template": template}


def write_rows(source: str | Path, place: str | Path) -> int:
    """Writes the answers of a store as JSON lines; the file appears whole or not at all.

    An example that several prompts were asked about comes once for each. What a prompt's requests have in
    common, 'template', is on the first line of each prompt.

    Returns:
      How many there are.
    """
    path, count = at(place), 0
    seen: set[str] = set()
    draft = path if is_remote(path) else path.with_name(f"{path.name}.part")
    try:
        with draft.open("w", encoding="utf-8") as file:
            for _, row in rows_of(source):
                if row["prompt"] in seen:
                    del row["template"]
                seen.add(row["prompt"])
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        if draft != path:
            draft.replace(path)
    except OSError as error:
        raise ConfigError(f"{place}: expected a place to write to, but {reason(error)}.") from None
    return count


def absorb(store: Store, rows: Iterable[tuple[str, dict[str, Any]]]) -> Taken:
    """Takes answers into a store: all of them, or none.

    What the store has already stays: its answers, the requests of its examples, and its latest prompt. The
    prompts that it did not know count as earlier ones, in the order in which they come.

    Args:
      store: open.
      rows: as `rows_of` gives them.
    """
    counts = {"added": 0, "known": 0, "conflicts": 0}
    seen: set[str] = set()
    new: list[str] = []
    with store.writing() as db:
        (turn,) = db.execute("SELECT coalesce(min(turn), 1) FROM prompts").fetchone()
        for _, row in rows:
            if _is_new(db, row):
                new.append(row["prompt"])
            outcome = _take(db, row)
            if outcome != "known" or row["key"] not in seen:  # examples may share a request
                counts[outcome] += 1
            seen.add(row["key"])
        ordered = ((turn - len(new) + place, prompt) for place, prompt in enumerate(new))
        db.executemany("UPDATE prompts SET turn = ? WHERE prompt = ?", ordered)
    return Taken(**counts)


def _of_store(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with reading(path) as db:
        names = ", ".join((*_PROMPT, *(_SECOND if format_of(db, path) >= 2 else _FIRST)))
        db.row_factory = sqlite3.Row
        for row in db.execute(
            f"""SELECT {names} FROM requests JOIN prompts USING (prompt) JOIN completions USING (key)
                ORDER BY turn, id"""
        ):
            template = json.loads(row["template"])
            mark = {GIVEN_LABEL: True} if template.get(GIVEN_LABEL) else {}
            yield str(path), dict(row) | {"template": template} | mark


def _check(row: dict[str, Any], where: str) -> None:
    for name in _TEXTS:
        if not isinstance(row[name], str) or not row[name].strip():
            raise DataError(f"{where}: expected text as {name!r}, found {row[name]!r}.")
    for name in _COUNTS:
        if not isinstance(row.get(name), (int, float, type(None))):
            raise DataError(f"{where}: expected a number or null as {name!r}, found {row[name]!r}.")
    is_marked(row, where)
    if not isinstance(row.get("template"), dict | None):
        raise DataError(f"{where}: expected an object or null as 'template', found {row['template']!r}.")
    if row.get("template") is not None and digest(row["template"]) != row["prompt"]:
        raise DataError(f"{where}: expected the template that 'prompt' is the hash of, found another.")


def _is_new(db: sqlite3.Connection, row: dict[str, Any]) -> bool:
    mark = {GIVEN_LABEL: True} if row.get(GIVEN_LABEL) else {}
    template = row["template"] or {"model": row["model"]} | mark
    values = (row["prompt"], row["model"], canonical(template))
    is_new = db.execute("INSERT OR IGNORE INTO prompts VALUES (?, ?, ?, 0)", values).rowcount == 1
    if mark and not is_new:
        _mark(db, row["prompt"])
    return is_new


def _mark(db: sqlite3.Connection, prompt: str) -> None:
    """Marks a prompt that the store has; it lacks the mark only where its first lines were lost."""
    (found,) = db.execute("SELECT template FROM prompts WHERE prompt = ?", (prompt,)).fetchone()
    template = json.loads(found)
    if not template.get(GIVEN_LABEL):
        marked = canonical(template | {GIVEN_LABEL: True})
        db.execute("UPDATE prompts SET template = ? WHERE prompt = ?", (marked, prompt))


def _take(db: sqlite3.Connection, row: dict[str, Any]) -> str:
    """Takes one answer; says whether it was 'added', 'known', or 'conflicts' with another."""
    own = (row["id"], row["prompt"])
    asked = db.execute("SELECT key FROM requests WHERE id = ? AND prompt = ?", own).fetchone()
    if asked is not None and asked[0] != row["key"]:
        return "conflicts"
    db.execute("INSERT OR IGNORE INTO requests VALUES (?, ?, ?)", (*own, row["key"]))
    found = db.execute("SELECT rationale FROM completions WHERE key = ?", (row["key"],)).fetchone()
    if found is not None:
        return "known" if found[0] == row["rationale"] else "conflicts"
    db.execute(
        f"INSERT INTO completions ({', '.join(_SECOND)}) VALUES ({', '.join('?' * len(_SECOND))})",
        [row.get(name) for name in _SECOND],
    )
    db.execute("DELETE FROM failures WHERE key = ?", (row["key"],))
    return "added"
