"""The tables of a rationale store, in each of its formats, and what is said of a file without them."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from fiat_jax.errors import DataError, FiatError

MAGIC = b"SQLite format 3\0"
_FORMATS = (0x46494131, 0x46494132, 0x46494133)  # 'FIA1' to 'FIA3', as sqlite's application id
_FIRST = (
    """CREATE TABLE prompts (prompt TEXT PRIMARY KEY, model TEXT NOT NULL, template TEXT NOT NULL,
       turn INTEGER NOT NULL)""",
    "CREATE TABLE requests (id TEXT, prompt TEXT, key TEXT NOT NULL, PRIMARY KEY (id, prompt))",
    """CREATE TABLE completions (key TEXT PRIMARY KEY, rationale TEXT NOT NULL, prompt_tokens INTEGER,
       completion_tokens INTEGER, finish_reason TEXT, time TEXT NOT NULL)""",
)
_SECOND = (
    "ALTER TABLE completions ADD COLUMN cached_tokens INTEGER",
    "ALTER TABLE completions ADD COLUMN seconds REAL",
    "ALTER TABLE completions ADD COLUMN served_model TEXT",
    "ALTER TABLE completions ADD COLUMN fingerprint TEXT",
    """CREATE TABLE failures (key TEXT PRIMARY KEY, reason TEXT NOT NULL, times INTEGER NOT NULL,
       set_aside INTEGER NOT NULL, time TEXT NOT NULL)""",
    "DROP VIEW IF EXISTS rationales",
    """CREATE VIEW rationales AS
       SELECT id, rationale, model, served_model, fingerprint, prompt, template, turn, key, prompt_tokens,
       completion_tokens, cached_tokens, finish_reason, seconds, time
       FROM requests JOIN prompts USING (prompt) JOIN completions USING (key)""",
)
_THIRD = (
    "CREATE TABLE batches (mark TEXT PRIMARY KEY, batch TEXT, time TEXT NOT NULL)",
    "CREATE TABLE batched (key TEXT PRIMARY KEY, mark TEXT NOT NULL)",
)
_STEPS = (_FIRST, _SECOND, _THIRD)


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Makes the tables, or brings those of an earlier format up to the last; all of it, or nothing.

    Raises:
      DataError: the file is something else.
    """
    if has_tables(db):
        format_of(db, path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN IMMEDIATE")
    with db:
        found = format_of(db, path) if has_tables(db) else 0
        for statement in (statement for step in _STEPS[found:] for statement in step):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_FORMATS[-1]}")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A store, of any format, open for reading only.

    Raises:
      DataError: the file is something else.
    """
    address = f"{path.resolve().as_uri()}?mode=ro"
    with explained(path), contextlib.closing(sqlite3.connect(address, uri=True)) as db:
        format_of(db, path)
        yield db


def has_tables(db: sqlite3.Connection) -> bool:
    """Whether the file holds anything yet."""
    return db.execute("SELECT 1 FROM sqlite_master").fetchone() is not None


def format_of(db: sqlite3.Connection, path: Path) -> int:
    """The format of a store: 1, 2 or 3.

    Raises:
      DataError: it is another program's database, or a later format.
    """
    (found,) = db.execute("PRAGMA application_id").fetchone()
    if found in _FORMATS:
        return _FORMATS.index(found) + 1
    raise DataError(
        f"{path}: expected a rationale store, found another sqlite database, or one of a later fiat_jax; "
        "name another file."
    )


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what sqlite and the disk say into one sentence."""
    try:
        yield
    except (sqlite3.NotSupportedError, sqlite3.OperationalError, OSError) as error:
        raise FiatError(f"{path}: the rationale store cannot be read or written ({error}).") from None
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path}: expected a rationale store, found something else ({error}).") from None
