"""The batches of a store: noted before they are sent, and until all that came of them is kept."""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager

from fiat_jax.errors import ConfigError, FiatError
from fiat_jax.reasoning.calls import Sent, now
from fiat_jax.reasoning.schema import explained
from fiat_jax.reasoning.store import Store


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """Keeps another run from batches of the same store: it would take ours for lost while they are sent.

    The lock is a file beside the store, and ends with this process, however it ends.

    Raises:
      FiatError: another run is at it.
    """
    path = store.path.with_name(f"{store.path.name}-batches")
    with explained(store.path):
        lock = os.open(path, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = path.exists() and os.path.samestat(path.stat(), os.fstat(lock))
        except BlockingIOError:
            held = False
        if not held:
            os.close(lock)
            raise FiatError(
                f"{store.path}: expected no other run that sends or fetches its batches, found one; run this "
                "again when it has ended."
            )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


def note(store: Store, keys: Iterable[str]) -> Sent:
    """Notes a batch that is about to be sent; it is on the disk when this returns."""
    sent = Sent(secrets.token_hex(16), now(), tuple(keys))
    with store.writing() as db:
        db.execute("INSERT INTO batches VALUES (?, NULL, ?)", (sent.mark, sent.time))
        db.executemany("INSERT INTO batched VALUES (?, ?)", [(key, sent.mark) for key in sent.keys])
    return sent


def name(store: Store, sent: Sent, batch: str) -> Sent:
    """Notes what the provider knows a batch by."""
    with store.writing() as db:
        db.execute("UPDATE batches SET batch = ? WHERE mark = ?", (batch, sent.mark))
    return Sent(sent.mark, sent.time, sent.keys, batch)


def batches_of(store: Store) -> list[Sent]:
    """The batches of an open store, in the order in which they were noted."""
    with store.writing() as db:
        return sent_batches(db)


def sent_batches(db: sqlite3.Connection) -> list[Sent]:
    """The batches of a store of the third format."""
    keys: dict[str, list[str]] = {}
    for mark, key in db.execute("SELECT mark, key FROM batched ORDER BY rowid"):
        keys.setdefault(mark, []).append(key)
    rows = db.execute("SELECT mark, time, batch FROM batches ORDER BY time, rowid")
    return [Sent(mark, time, tuple(keys.get(mark, ())), batch) for mark, time, batch in rows]


def refuse_batched(store: Store, keys: Container[str] | None = None) -> None:
    """Refuses to ask one by one what is in batches of an earlier run.

    Args:
      store: open.
      keys: of what is to be asked; None for anything.

    Raises:
      ConfigError: some of it is.
    """
    found = sum(keys is None or key in keys for each in batches_of(store) for key in each.keys)
    if found:
        raise ConfigError(
            f"annotate.batch: expected @Batch(), found none, and {found} of the requests are in batches of "
            "an earlier run; with it the same command fetches them."
        )
