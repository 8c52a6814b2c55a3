"""The rows of a split as the tuned model reads them. What is wrong with one is noted, and stops nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fiat_jax.data.rendering import written
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Reading, check_target
from fiat_jax.data.vocabularies import Tokens
from fiat_jax.errors import DataError
from fiat_jax.paths import at
from fiat_jax.reasoning.store import given_label, open_rationales
from fiat_jax.records import fill


@dataclass(frozen=True)
class Read:
    """An example as the tuned model reads it; lengths are in tokens, the ends among them.

    Attributes:
      id, language: the example's.
      fields: what its input is made of.
      answers: the good ones.
      rationale: with single spaces; '' where there is none.
      given_label: whether that was written with the label in sight.
      text: the input as it is read; '' where it does not fit.
      cut: how many characters are gone at the end of a field, or of the rationale by that name.
      target: what should be written.
      whole, length, target_length: of the input before it is cut, of `text`, and of the target.
      rationale_length: 0 where there is none.
      unknown: input tokens that stand for what the vocabulary cannot write.
      refused: why it cannot be read as it is; ''.
    """

    id: str
    language: str
    fields: Mapping[str, str]
    answers: tuple[str, ...]
    rationale: str
    given_label: bool
    text: str
    cut: Mapping[str, int]
    target: str
    whole: int
    length: int
    target_length: int
    rationale_length: int
    unknown: int
    refused: str


@dataclass(frozen=True)
class Rationales:
    """The rationales of a task.

    Attributes:
      texts: by file and example id.
      marked: ids of those that were written from the label, by file.
      absent: files that are not there.
    """

    texts: Mapping[str, Mapping[str, str]]
    marked: Mapping[str, set[str]]
    absent: tuple[str, ...]


def open_all(task: Task) -> Rationales:
    """The rationales of all languages; a file may be absent.

    Raises:
      DataError: a file is there and is none of rationales.
    """
    places = {fill(task.rationales or "", {"language": one}) for one in task.languages or ("",)} - {""}
    there = sorted(place for place in places if at(place).exists())
    return Rationales(
        {place: open_rationales(place) for place in there},
        {place: given_label(place) for place in there},
        tuple(sorted(places - set(there))),
    )


def rows_of(task: Task, split: str) -> list[dict[str, Any]]:
    """The rows of a split; where an exemplar of the prompt leaks into one, they are all there still."""
    if split in task.source.splits() and split != "train":
        task = replace(task, prompt=None)  # which refuses them
    return list(task.rows(split))


def read(
    task: Task, reading: Reading, rows: Iterable[Mapping[str, Any]], rationales: Rationales
) -> list[Read]:
    """Rows as a reading has them.

    Args:
      task: whose template, vocabulary and lengths.
      reading: what the model reads.
      rows: of the task.
      rationales: the task's.

    Raises:
      ConfigError: the vocabulary does not load, or cannot write the template.
    """
    tokens = task.tokens()
    task.template.check(tokens, explained=reading == "explanation")
    return [_read(task, reading, row, rationales, tokens) for row in rows]


def _read(
    task: Task, reading: Reading, row: Mapping[str, Any], rationales: Rationales, tokens: Tokens
) -> Read:
    place = fill(task.rationales or "", {"language": row["language"]})
    own = str(row.get(task.rationale_field) or "") if task.rationale_field else ""
    rationale = " ".join((own or rationales.texts.get(place, {}).get(row["id"], "")).split())
    filling, target = task.filling(row, rationale), written(task, reading, row, rationale)
    text, cut, refused = "", dict[str, int](), list[str]()
    try:
        fitted = task.template.fit(reading, filling, tokens, task.inputs_length, "its input")
        text, cut = fitted.text, {name: len(lost.text) for name, lost in fitted.lost.items()}
    except DataError as error:
        refused.append(str(error))
    try:
        check_target(target, tokens, task.targets_length, "its target")
    except DataError as error:
        refused.append(str(error))
    ids = tokens.encode(text)
    return Read(
        id=row["id"],
        language=row["language"],
        fields=filling.fields,
        answers=task.answers(row),
        rationale=rationale,
        given_label=bool(own) or row["id"] in rationales.marked.get(place, ()),
        text=text,
        cut=cut,
        target=target,
        whole=len(tokens.encode(task.template.compose(reading, filling))) + 1,
        length=len(ids) + 1 if text else 0,
        target_length=len(tokens.encode(target)) + 1,
        rationale_length=len(tokens.encode(rationale)) + 1 if rationale else 0,
        unknown=sum(one == tokens.unk_id for one in ids),
        refused=shorten(" ".join(refused), 300),
    )


def shorten(text: str, most: int) -> str:
    """A text with its middle left out where it is long."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"
