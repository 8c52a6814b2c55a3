"""The rationale store: one sqlite file that no killed run can lose an answer from.

A completion is kept under the hash of the full request that made it (model, messages, parameters), so a
request is never paid for twice, and is on the disk before its thread takes new work. Beside it stands
which request each example makes under each reasoning prompt: the same example asked with another prompt
or model is another request, and neither answer is lost. A failure is never kept as an answer: it is noted
apart, with its reason.

One store may so hold several rationales for an example. Read as a mapping from id to text, it gives those
of the prompt that was annotated last. An earlier prompt that this one has replaced for some examples is
not used for the rest of its own either: training on a mixture of two prompts would go unnoticed. Annotating
again with the earlier prompt brings it back, at no cost.
"""

import contextlib
import json
import logging
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from fiat_jax.errors import ConfigError, DataError
from fiat_jax.paths import at, is_remote, local_copy
from fiat_jax.reasoning.calls import GIVEN_LABEL, Completion, Outcome, canonical, digest, now
from fiat_jax.reasoning.schema import MAGIC, explained, prepare, reading
from fiat_jax.records import numbered_jsonl, read_jsonl, write_whole

_REQUEST = """INSERT INTO requests VALUES (?, ?, ?)
   ON CONFLICT (id, prompt) DO UPDATE SET key = excluded.key WHERE key != excluded.key"""
_COMPLETION = """INSERT OR IGNORE INTO completions (key, rationale, prompt_tokens, completion_tokens,
   finish_reason, time, cached_tokens, seconds, served_model, fingerprint)
   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_ANSWERED = "DELETE FROM failures WHERE key = ?"
_FAILURE = """INSERT INTO failures VALUES (?, ?, 1, ?, ?)
   ON CONFLICT (key) DO UPDATE SET reason = excluded.reason, times = times + 1,
   set_aside = excluded.set_aside, time = excluded.time"""

_log = logging.getLogger(__name__)


class Store:
    """A rationale store, open for annotation. Its methods may be called from many threads.

    Args:
      path: the sqlite file, on this machine; it and its folder are made if absent.

    Raises:
      ConfigError: the path leads into a bucket.
      DataError: the file is something else.
    """

    def __init__(self, path: str | Path) -> None:
        if is_remote(path):
            raise ConfigError(
                f"{path}: expected a local file to keep rationales in, since a bucket holds no database that "
                "changes; name a local one, and copy it to the bucket when the annotation has ended."
            )
        self.path = Path(path)
        self._lock, self._pending_lock = threading.Lock(), threading.Lock()
        self._pending: list[tuple[object, ...]] = []
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=30.0, check_same_thread=False)
            prepare(self._db, self.path)

    def plan(
        self, template: Mapping[str, object], model: str, keys: Mapping[str, str]
    ) -> dict[str, str | None]:
        """Makes a prompt the latest one, and notes which request each example makes under it.

        Args:
          template: the payload with the prompt's template in the example's place: what tells prompts apart.
          model: the model's name.
          keys: the key of each example's request, by example id.

        Returns:
          The finish reason of each request that is already answered, by key.
        """
        with self.writing() as db:
            prompt = _make_latest(db, template, model)
            db.executemany(_REQUEST, [(id, prompt, key) for id, key in keys.items()])
            answered = dict(
                db.execute("SELECT key, finish_reason FROM rationales WHERE prompt = ?", (prompt,))
            )
        return {key: answered[key] for key in keys.values() if key in answered}

    def put(self, key: str, completion: Completion, seconds: float | None = None) -> None:
        """Keeps the answer to a request; it is on the disk when this returns.

        Answers that come while another is written wait for it, and then share one commit.

        Args:
          key: of the request.
          completion: the answer.
          seconds: how long it has taken.
        """
        with self._pending_lock:
            self._pending.append(_row(key, completion, now(), seconds))
        with self._lock:
            with self._pending_lock:
                rows, self._pending = self._pending, []
            if not rows:  # another thread has written this one too
                return
            try:
                with explained(self.path), self._db as db:
                    _answer(db, rows)
            except BaseException:
                with self._pending_lock:
                    self._pending = rows + self._pending  # each thread then finds out for itself
                raise

    def fail(self, failures: Iterable[tuple[str, str, bool]]) -> None:
        """Notes requests that have failed.

        Args:
          failures: of each its key, the reason, and whether it is set aside: not to be asked again unless
            told.
        """
        with self.writing() as db:
            db.executemany(_FAILURE, [(*failure, now()) for failure in failures])

    def settle(
        self, mark: str, answers: Mapping[str, Completion], failures: Iterable[tuple[str, str, bool]]
    ) -> None:
        """Keeps all that came of a batch and forgets the batch: all of it, or nothing.

        Args:
          mark: of the batch.
          answers: by key.
          failures: see `fail`.
        """
        with self.writing() as db:
            _answer(db, [_row(key, completion, now()) for key, completion in answers.items()])
            db.executemany(_FAILURE, [(*failure, now()) for failure in failures])
            db.execute("DELETE FROM batched WHERE mark = ?", (mark,))
            db.execute("DELETE FROM batches WHERE mark = ?", (mark,))

    def set_aside(self) -> dict[str, str]:
        """Why each request that has failed for good has no answer, by key, and how often it was asked; those
        that are asked again in a batch are left out."""
        with explained(self.path), self._lock:
            return dict(
                self._db.execute(
                    """SELECT key, reason || iif(times > 1, ' (' || times || ' times)', '') FROM failures
                       WHERE set_aside AND key NOT IN (SELECT key FROM batched)"""
                )
            )

    def begin(self, template: Mapping[str, object], model: str) -> str:
        """Makes a prompt the latest one, for examples that are not known yet.

        Args:
          template, model: see `plan`.

        Returns:
          What `find` and `keep` know the prompt by.
        """
        with self.writing() as db:
            return _make_latest(db, template, model)

    def find(self, prompt: str, id: str, key: str) -> str | None:
        """The rationale of an example if its request is answered already; it is noted as the example's."""
        with self.writing() as db:
            found = db.execute("SELECT rationale FROM completions WHERE key = ?", (key,)).fetchone()
            if found is None:
                return None
            db.execute(_REQUEST, (id, prompt, key))
        return str(found[0])

    def keep(self, prompt: str, id: str, key: str, completion: Completion) -> None:
        """Keeps the answer to an example's request; it is on the disk when this returns."""
        with self.writing() as db:
            db.execute(_REQUEST, (id, prompt, key))
            _answer(db, [_row(key, completion, now())])

    def answered(self) -> Iterator[tuple[str, str | None]]:
        """The key and the finish reason of every answer, under any prompt."""
        with explained(self.path):
            yield from self._db.execute("SELECT key, finish_reason FROM completions")

    def fold(self, template: Mapping[str, object], model: str, outcomes: Iterable[Outcome]) -> None:
        """Makes a prompt the latest one and takes in what became of its requests: all, or none.

        Args:
          template: see `plan`.
          model: the model's name.
          outcomes: one a request, in any order; they are not held.
        """
        with self.writing() as db:
            prompt = _make_latest(db, template, model)
            for outcome in outcomes:
                db.executemany(_REQUEST, [(id, prompt, outcome.key) for id in outcome.ids])
                if outcome.answer is not None:
                    row = _row(outcome.key, outcome.answer.completion, outcome.answer.time)
                    _answer(db, [row])

    def close(self) -> None:
        """Folds the journal into the one file, unless someone else reads it now."""
        with contextlib.suppress(sqlite3.OperationalError):
            self._db.execute("PRAGMA busy_timeout = 0")
            self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The database inside a transaction: all that is done in it is kept, or nothing."""
        with self._lock, explained(self.path), self._db:
            yield self._db


def open_rationales(path: str | Path) -> Mapping[str, str]:
    """Reads rationales by example id.

    Args:
      path: a rationale store, or a JSONL file of {"id", "rationale"} rows; here or in a bucket.

    Raises:
      DataError: the file is absent or neither of the two, an id comes twice, or a rationale is empty.
    """
    path = at(path)
    return _from_store(local_copy(path)) if is_store(path) else _from_jsonl(path)


def cut_at_limit(path: str | Path) -> set[tuple[str, str]] | None:
    """The ids and rationales, under any prompt, that end at the token limit; None if the place tells none.

    Args:
      path: as for `open_rationales`; rows of a JSONL file may say it in 'finish_reason'.

    Raises:
      DataError: as `open_rationales`.
    """
    path = at(path)
    if not is_store(path):
        rows = [row for row in read_jsonl(path, ("id", "rationale")) if "finish_reason" in row]
        cut = ((str(row["id"]), row["rationale"]) for row in rows if row["finish_reason"] == "length")
        return set(cut) if rows else None
    with reading(local_copy(path)) as db:
        return set(db.execute("SELECT id, rationale FROM rationales WHERE finish_reason = 'length'"))


def given_label(path: str | Path) -> set[str]:
    """The ids whose rationale, as `open_rationales` gives it, was written with the label in sight.

    Args:
      path: as for `open_rationales`; rows of a JSONL file say it in 'given_label'.

    Raises:
      DataError: as `open_rationales`, or a row says neither true nor false.
    """
    path = at(path)
    if not is_store(path):
        rows = numbered_jsonl(path, required=("id", "rationale"))
        return {str(row["id"]) for line, row in rows if is_marked(row, f"{path}:{line}")}
    path = local_copy(path)
    used = _used(path)
    with reading(path) as db:
        prompts = db.execute("SELECT prompt, template FROM prompts").fetchall()
    marked = {prompt for prompt, template in prompts if json.loads(template).get(GIVEN_LABEL)}
    return {id for id, (_, prompt) in used.items() if prompt in marked}


def is_marked(row: Mapping[str, Any], where: str) -> bool:
    """Whether a row says that its rationale was written with the label in sight.

    Raises:
      DataError: it says something else than true or false.
    """
    mark = row.get(GIVEN_LABEL, False)
    if not isinstance(mark, bool):
        raise DataError(f"{where}: expected true or false as {GIVEN_LABEL!r}, found {mark!r}.")
    return mark


def export_jsonl(
    rationales: Mapping[str, str], path: str | Path, marked: Collection[str] = frozenset()
) -> None:
    """Writes rationales as JSONL rows of {"id", "rationale"}; the file appears whole or not at all.

    Args:
      rationales: by example id.
      path: the file.
      marked: the ids whose rationale was written with the label in sight; their rows say so.
    """
    rows = (
        {"id": id, "rationale": rationale} | ({GIVEN_LABEL: True} if id in marked else {})
        for id, rationale in rationales.items()
    )
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def is_store(path: str | Path) -> bool:
    """Whether a file is a rationale store, and not JSON lines."""
    path = at(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _from_store(path: Path) -> dict[str, str]:
    return {id: text for id, (text, _) in _used(path).items()}


def _used(path: Path) -> dict[str, tuple[str, str]]:
    """The rationale of each example, and the prompt that it is of."""
    with reading(path) as db:
        rows = db.execute(
            """SELECT id, prompt, rationale FROM requests JOIN prompts USING (prompt)
               LEFT JOIN completions USING (key) ORDER BY turn, id"""
        ).fetchall()
    latest: dict[str, tuple[str, str | None]] = {}
    replaced = set()
    for id, prompt, rationale in rows:  # the earliest prompt first
        if id in latest:
            replaced.add(latest[id][0])
        latest[id] = prompt, rationale
    left_out = sum(prompt in replaced for prompt, _ in latest.values())
    if left_out:
        _log.warning(
            "%s: %d examples have a rationale of an earlier prompt only, left out since a later prompt has "
            "replaced that prompt elsewhere; annotate all splits with one of the two.",
            path,
            left_out,
        )
    return {
        id: (text, prompt)
        for id, (prompt, text) in latest.items()
        if text is not None and prompt not in replaced
    }


def _from_jsonl(path: Path) -> dict[str, str]:
    rationales: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, row in numbered_jsonl(path, required=("id", "rationale")):
        id, rationale = str(row["id"]), row["rationale"]
        if id in lines:
            raise DataError(
                f"{path}:{line}: expected each id once, but {id!r} is on line {lines[id]} too; remove one."
            )
        if not isinstance(rationale, str) or not rationale.strip():
            raise DataError(f"{path}:{line}: expected text as 'rationale' of {id!r}, found {rationale!r}.")
        rationales[id], lines[id] = rationale, line
    return rationales


def _make_latest(db: sqlite3.Connection, template: Mapping[str, object], model: str) -> str:
    prompt = digest(template)
    db.execute(
        """INSERT INTO prompts SELECT ?, ?, ?, coalesce(max(turn), 0) + 1 FROM prompts WHERE true
           ON CONFLICT (prompt) DO UPDATE SET turn = excluded.turn""",
        (prompt, model, canonical(template)),
    )
    return prompt


def _answer(db: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
    db.executemany(_COMPLETION, rows)
    db.executemany(_ANSWERED, [(row[0],) for row in rows])


def _row(key: str, completion: Completion, time: str, seconds: float | None = None) -> tuple[object, ...]:
    return (
        key,
        completion.text,
        completion.prompt_tokens,
        completion.completion_tokens,
        completion.finish_reason,
        time,
        completion.cached_tokens,
        seconds,
        completion.model,
        completion.fingerprint,
    )
