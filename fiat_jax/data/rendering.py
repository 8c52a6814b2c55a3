"""Examples as text, without TensorFlow: rows joined with their rationales and made to fit."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fiat_jax.data.given_labels import check_unaided
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Cut, Reading, check_target
from fiat_jax.errors import DataError
from fiat_jax.reasoning.store import open_rationales
from fiat_jax.records import fill, template_fields

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rendered:
    """An example as the tuned model reads it.

    Attributes:
      id: its id.
      language: '' where its row has none.
      answers: the good answers.
      input, target: text that fits the task's lengths.
      cut: what was shortened for that, and by how much.
    """

    id: str
    language: str
    answers: tuple[str, ...]
    input: str
    target: str
    cut: Cut


def render(task: Task, reading: Reading, split: str, languages: tuple[str, ...] = ()) -> Iterator[Rendered]:
    """Renders a split, language after language in the task's order, and in file order within one.

    Args:
      task: the task.
      reading: what the model reads; what it writes is the target, or for 'explanation' the rationale.
      split: which examples.
      languages: only these; by default all of the task's.

    Raises:
      ConfigError: the task has no such reading, split or language, or its vocabulary cannot write a template.
      DataError: a row is wrong, has no rationale or does not fit; the message names it.
    """
    task.check_reading(reading)
    tokens, empty = task.tokens(), Counter[str]()
    task.template.check(tokens, explained=reading == "explanation")
    seen: dict[str, str] = {}
    for language in languages or task.languages or ("",):
        for row, rationale in joined(task, reading, split, (language,) if language else ()):
            name = f"task {task.name}, example {row['id']}"
            if row["id"] in seen:
                raise DataError(
                    f"{name}: expected each id once in all languages, found it in {seen[row['id']]} "
                    f"and in {language}; put the language into the ids."
                )
            seen[row["id"]] = language
            empty.update(field for field, value in row.items() if value is None)
            filling, target = task.filling(row, rationale), written(task, reading, row, rationale)
            fitted = task.template.fit(reading, filling, tokens, task.inputs_length, name)
            check_target(target, tokens, task.targets_length, name)
            yield Rendered(row["id"], row["language"], task.answers(row), fitted.text, target, fitted.cut)
    for field in sorted(empty.keys() & set(template_fields(task.template.input))):
        _log.warning(
            "task %s, %s: %s is null in %d rows, read as empty", task.name, split, field, empty[field]
        )


def written(task: Task, reading: Reading, row: Mapping[str, Any], rationale: str) -> str:
    """What the tuned model should write of a row: its target, or to explain it the rationale."""
    return " ".join(rationale.split()) if reading == "explanation" else task.target(row)


def joined(
    task: Task, reading: Reading, split: str, languages: tuple[str, ...] = ()
) -> list[tuple[dict[str, Any], str]]:
    """The rows of a split, each with its rationale; '' for readings that need none.

    A training example that has none is treated as `Task.without_rationale` says, and counted; there is
    nothing to explain about it.

    Raises:
      DataError: one has none and must have one; the message tells how many. Or the split is not 'train', and
        the task is not to be evaluated: see `check_unaided`.
    """
    rows = list(task.rows(split, languages))
    if reading in ("plain", "instruction") or (reading == "distillation" and split != "train"):
        return [(row, "") for row in rows]
    if split != "train":
        check_unaided(task, reading, languages)
    refused = split != "train" or task.without_rationale == "refuse"
    pairs = list(zip(rows, join_rationales(task, rows, refused), strict=True))
    without = sum(not rationale for _, rationale in pairs)
    if without and (task.without_rationale == "leave_out" or reading == "explanation"):
        _log.info("task %s, %s: %d examples without a rationale left out", task.name, split, without)
        pairs = [(row, rationale) for row, rationale in pairs if rationale]
    elif without:
        _log.info("task %s, %s: %d examples without a rationale tune without one", task.name, split, without)
    if rows and not pairs:
        raise DataError(f"task {task.name}: expected rationales of split {split!r}, found none.")
    return pairs


def join_rationales(task: Task, rows: Sequence[Mapping[str, Any]], refused: bool = True) -> list[str]:
    """The rationale of each row, by its id.

    Args:
      task: which has them.
      rows: of which.
      refused: whether each must have one; else '' stands for none.

    Raises:
      DataError: one has none; the message tells how many.
    """
    stores: dict[str, Mapping[str, str]] = {}
    texts: list[str] = []
    missing: list[tuple[str, str]] = []
    for row in rows:
        if task.rationale_field:
            place, text = f"field {task.rationale_field!r}", str(row.get(task.rationale_field) or "")
        else:
            place = fill(task.rationales or "", {"language": row["language"]})
            if place not in stores:
                stores[place] = open_rationales(place)
            text = stores[place].get(row["id"], "")
        texts.append(text.strip())
        if not texts[-1]:
            missing.append((row["id"], place))
    if missing and refused:
        (id, place), others = missing[0], len(missing) - 1
        raise DataError(
            f"{place}: expected a rationale for each of the {len(rows)} examples, found none for {id!r}"
            + (f" and {others} others" if others else "")
            + "; "
            + "write what is missing with `fiat annotate`, or " * (not task.rationale_field)
            + "say in Task.without_rationale what becomes of training examples without one."
        )
    return texts
