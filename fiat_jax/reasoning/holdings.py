"""What a store holds, read without changing it: for the dry run and for the status."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fiat_jax.paths import at, local_copy
from fiat_jax.reasoning.calls import Sent
from fiat_jax.reasoning.schema import format_of, reading
from fiat_jax.reasoning.sent import sent_batches


class Spent(NamedTuple):
    """The tokens of an answer, or of several; None where the server did not count them."""

    read: int | None
    written: int | None
    cached: int | None


class Failure(NamedTuple):
    """A request without an answer.

    Attributes:
      reason: of the last time.
      times: how often it has failed.
      set_aside: whether it is not asked again unless told.
      time: of the last time.
    """

    reason: str
    times: int
    set_aside: bool
    time: str


class Writer(NamedTuple):
    """What one prompt has in a store.

    Attributes:
      prompt: the hash of the prompt with the model and its parameters.
      model: its name.
      answers: how many requests of it are answered.
      spent: their tokens.
      last: when the last of them was answered; None if none is.
      revisions: what the server called itself when it answered.
    """

    prompt: str
    model: str
    answers: int
    spent: Spent
    last: str | None
    revisions: tuple[str, ...]


@dataclass(frozen=True)
class Holdings:
    """What a store holds.

    Attributes:
      answers: the tokens of every answer, by key.
      failures: every request that has failed and has no answer since, by key.
      batches: those that are not fetched yet.
      writers: the prompts, the latest last.
    """

    answers: dict[str, Spent] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    batches: list[Sent] = field(default_factory=list)
    writers: list[Writer] = field(default_factory=list)

    def in_batches(self) -> set[str]:
        """The keys of the requests that are in batches."""
        return {key for sent in self.batches for key in sent.keys}


def holdings(place: str | Path) -> Holdings:
    """Reads a store; where there is none yet it holds nothing.

    Args:
      place: the sqlite file, here or in a bucket.

    Raises:
      DataError: the file is something else.
    """
    if not at(place).exists():
        return Holdings()
    path = local_copy(at(place))
    with reading(path) as db:
        version = format_of(db, path)
        second = version >= 2
        cached = "cached_tokens" if second else "NULL"
        revision = "trim(coalesce(served_model, '') || ' ' || coalesce(fingerprint, ''))" if second else "''"
        answers = db.execute(f"SELECT key, prompt_tokens, completion_tokens, {cached} FROM completions")
        failures = db.execute("SELECT * FROM failures") if second else ()
        writers = db.execute(
            f"""SELECT prompt, model, count(key), sum(prompt_tokens), sum(completion_tokens), sum({cached}),
                max(time), group_concat(DISTINCT {revision}) FROM prompts
                LEFT JOIN (SELECT DISTINCT prompt, key FROM requests) USING (prompt)
                LEFT JOIN completions USING (key) WHERE completions.key IS NOT NULL
                GROUP BY prompt ORDER BY turn"""
        )
        return Holdings(
            {key: Spent(*counts) for key, *counts in answers},
            {key: Failure(why, times, bool(aside), time) for key, why, times, aside, time in failures},
            sent_batches(db) if version >= 3 else [],
            [
                Writer(
                    prompt, model, count, Spent(*spent), last, tuple(filter(None, (names or "").split(",")))
                )
                for prompt, model, count, *spent, last, names in writers
            ],
        )
