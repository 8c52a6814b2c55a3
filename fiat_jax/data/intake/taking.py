"""Files taken in: splits of rows that a task can read, guesses about them, and notes on what was odd."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fiat_jax.data.intake.fields import flat_rows, oddities
from fiat_jax.data.intake.files import Rows, is_empty, read_rows
from fiat_jax.data.intake.guesses import Guesses, guess
from fiat_jax.data.intake.kinds import Kind, texts_of
from fiat_jax.data.intake.splits import named_splits, split_apart, with_ids, without_repeats
from fiat_jax.errors import DataError

GIVEN = "given_answer"
"""What a field 'answer' is called that is not the answer, since templates take {answer} for that."""

_FEW = 5
"""Training rows that a language needs to be one of the task's."""


@dataclass(frozen=True)
class Intake:
    """What files hold.

    Attributes:
      splits: rows with an id, an answer, and text in the fields of the input.
      unanswered: rows without an answer.
      guesses: what they are about.
      id_field: where the ids are.
      languages: those that every split has; none where there are not two.
      notes: what was odd, and what became of it, a line each.
    """

    splits: dict[str, Rows]
    unanswered: Rows
    guesses: Guesses
    id_field: str
    languages: tuple[str, ...]
    notes: tuple[str, ...]

    def texts(self) -> tuple[list[str], list[str]]:
        """All inputs and all answers."""
        rows = [row for rows in self.splits.values() for row in rows]
        inputs = [" ".join(str(row[name] or "") for name in self.guesses.input_fields) for row in rows]
        return inputs, [text for row in rows for text in texts_of(row, self.guesses.answer_field)]


def take_in(
    places: tuple[str, ...],
    *,
    answer_field: str | None = None,
    input_fields: Sequence[str] = (),
    id_field: str | None = None,
    language_field: str | None = None,
    kind: Kind | None = None,
) -> Intake:
    """Reads files, and guesses what is not given.

    Args:
      places: one file, or one for each split.
      answer_field, input_fields, id_field, language_field, kind: see `Guesses`.

    Raises:
      ConfigError: the files' names do not tell their splits.
      DataError: a file cannot be read, or holds no rows with an answer; see `read_rows` and `guess`.
    """
    found, notes = _read(named_splits(places))
    fields = {name for rows in found.values() for row in rows for name in row}
    if {"answer", answer_field} <= fields and answer_field != "answer":
        notes.append(f"fields renamed: answer -> {GIVEN}")
        found = {split: [_renamed(row, "answer", GIVEN) for row in rows] for split, rows in found.items()}
        input_fields = [GIVEN if name == "answer" else name for name in input_fields]
    guesses = guess(
        [row for rows in found.values() for row in rows],
        answer_field=answer_field,
        input_fields=input_fields,
        id_field=id_field,
        language_field=language_field,
        kind=kind,
    )
    found, ids = _identified(found, guesses.id_field, notes)
    splits, unanswered = _answered(found, guesses, notes)
    if "test" not in splits:
        splits = _with_test(splits, guesses, ids, notes)
    languages = _languages(splits, guesses.language_field, notes)
    return Intake(splits, unanswered, guesses, ids, languages, tuple(notes))


def _read(places: dict[str, str]) -> tuple[dict[str, Rows], list[str]]:
    """The rows of each split with flat fields."""
    every: Rows = []
    counts, notes = {}, []
    for split, place in places.items():
        rows, said = read_rows(place)
        counts[split] = len(rows)
        notes += [f"{place}: {len(rows)} rows", *said]
        every += rows
    flat, said = flat_rows(every)
    found = {}
    for split, count in counts.items():
        found[split], flat = flat[:count], flat[count:]
    return found, [*notes, *said]


def _renamed(row: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if name == old else name: value for name, value in row.items()}


def _identified(found: dict[str, Rows], own: str | None, notes: list[str]) -> tuple[dict[str, Rows], str]:
    """Splits without repeats whose rows have ids, and the field of the ids."""
    found, said = without_repeats(found, own)
    fields = {name for rows in found.values() for row in rows for name in row}
    id_field = own or ("row_id" if "id" in fields else "id")
    taken: set[str] = set()
    named, changed = {}, 0
    for split, rows in found.items():
        named[split], count = with_ids(rows, own, id_field, taken)
        changed += count
    notes += said
    if changed:
        notes.append(f"{id_field}: {changed} ids were missing or stood twice, and got new ones")
    if own is None:
        notes.append(f"{id_field}: made of the rows' contents, no field is an id; one that is: --id_field")
    return named, id_field


def _answered(found: dict[str, Rows], guesses: Guesses, notes: list[str]) -> tuple[dict[str, Rows], Rows]:
    """Splits of rows that have an answer, as a task reads them, and the rows that have none."""
    answer = guesses.answer_field
    unanswered: Rows = []
    splits: dict[str, Rows] = {split: [] for split in found}
    for split, rows in found.items():
        for row in rows:
            fit = _fit(row, guesses)
            (unanswered if is_empty(fit[answer]) else splits[split]).append(fit)
    if unanswered:
        notes.append(f"{answer} is empty in {len(unanswered)} rows, which go to unanswered.jsonl")
    notes += oddities([row for rows in splits.values() for row in rows], (*guesses.input_fields, answer))
    return splits, unanswered


def _fit(row: dict[str, Any], guesses: Guesses) -> dict[str, Any]:
    """A row as a task reads it: text in the input, one answer or a list of several."""
    inputs = {
        name: "; ".join(texts_of(row, name)) if isinstance(row.get(name), list) else row.get(name)
        for name in guesses.input_fields
    }
    answers = texts_of(row, guesses.answer_field)
    answer = answers if len(answers) > 1 else "".join(answers) or None
    fit = row | inputs | {guesses.answer_field: answer}
    if guesses.language_field:
        fit[guesses.language_field] = re.sub(r"\W+", "_", str(row.get(guesses.language_field) or "unknown"))
    return fit


def _with_test(splits: dict[str, Rows], guesses: Guesses, ids: str, notes: list[str]) -> dict[str, Rows]:
    """Splits with a test that was taken of train."""
    if len(splits["train"]) < 2:
        raise DataError(f"expected 2 rows with answers or more, found {len(splits['train'])}.")
    train, test, shared = split_apart(splits["train"], ids, guesses.language_field, guesses.cut)
    notes.append(f"test: {len(test)} rows of train, by hashes; your own: --data once for each split")
    if shared:
        notes.append(f"test: has some {guesses.cut} in common with train, since few differ")
    return splits | {"train": train, "test": test}


def _languages(splits: dict[str, Rows], field: str | None, notes: list[str]) -> tuple[str, ...]:
    """The languages that every split has, if there are two; those that are passed over are noted."""
    if field is None:
        return ()
    counts = {split: Counter(row[field] for row in rows) for split, rows in splits.items()}
    every = sorted(set().union(*counts.values()))
    used = [one for one in every if all(counts[split][one] for split in splits)]
    used = [one for one in used if counts["train"][one] >= _FEW]
    if len(used) < 2:
        return ()
    if left := [one for one in every if one not in used]:
        notes.append(f"{field}: {', '.join(left)} not used, for want of rows in each split")
    return tuple(used)
