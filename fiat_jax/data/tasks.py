"""A task: rows, what the model reads of them, and how its answers are scored."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fiat_jax.data.metrics import METRICS
from fiat_jax.data.preprocessors import Preprocessor, flattened
from fiat_jax.data.sources import SPLITS, Json, Jsonl, Parquet, Row, Tfds
from fiat_jax.data.tables import Table
from fiat_jax.data.templates import VARIANTS, Reading, Template, Variant
from fiat_jax.data.vocabularies import Tokens, load_tokens
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.records import fill, template_fields


@dataclass(frozen=True)
class Task:
    """Examples of one kind, in one language or many.

    Attributes:
      name: letters, digits and underscores; seqio knows the task as 'name.variant', and one of its
        languages as 'name.language.variant'.
      source: where the rows are.
      template: what the model reads and writes.
      vocabulary: a folder, file or hub id with tokenizer.json or spiece.model, or 'byte'.
      rationales: a rationale store or JSONL file, by example id; may hold {language}. None: neither fiat nor
        distillation.
      rationale_field: the field of a row with a rationale of its own, in the place of `rationales`. It is
        taken to be written with the label in sight, as a human's is: see `given_labels`.
      preprocessor: what makes flat rows of those of the source; None where they are flat.
      languages: those to use; they stand for {language} in places, or choose rows by `language_field`.
      id_field, answer_field, language_field: names in the rows. An answer may be a list of good ones, of
        which the first is the target.
      holdout: how many examples a language gives from 'train' to a 'validation' split of its own, chosen
        by a hash of their ids; 0 for none.
      inputs_length, targets_length: tokens at most, the end among them.
      metric: how answers are scored.
      prompt: the reasoning prompt, whose exemplars then neither tune nor validate: 'train' is without them
        and without what nearly is one of them, and in another split they are a leak.
      without_rationale: what becomes of a training example that has no rationale: 'refuse' is an error,
        'leave_out' tunes without the example, and 'no_rationale' tunes on it without a rationale. In
        another split it is always an error.
    """

    name: str
    source: Jsonl | Json | Table | Parquet | Tfds
    template: Template
    vocabulary: str
    rationales: str | None = None
    rationale_field: str | None = None
    preprocessor: Preprocessor | None = None
    languages: tuple[str, ...] = ()
    id_field: str = "id"
    answer_field: str = "answer"
    language_field: str = "language"
    holdout: int = 0
    inputs_length: int = 512
    targets_length: int = 64
    metric: str = "squad"
    prompt: Prompt | None = None
    without_rationale: Literal["refuse", "leave_out", "no_rationale"] = "refuse"

    def __post_init__(self) -> None:
        for what, word in [("name", self.name), *(("languages", one) for one in self.languages)]:
            if not re.fullmatch(r"\w+", word):
                raise ConfigError(
                    f"Task.{what}: expected letters, digits and underscores, as seqio wants, found {word!r}."
                )
        if len(set(self.languages)) < len(self.languages):
            raise ConfigError(f"Task.languages: expected each once, found {', '.join(self.languages)}.")
        if not self.languages and (self.source.by_language() or "{language}" in (self.rationales or "")):
            raise ConfigError("Task.languages: expected what {language} in the paths stands for, found none.")
        if self.rationales and self.rationale_field:
            raise ConfigError(
                f"Task.rationale_field: expected None beside Task.rationales = {self.rationales!r}, found "
                f"{self.rationale_field!r}; leave out one of the two."
            )
        for label in ("answer", self.answer_field, self.rationale_field):
            if label in template_fields(self.template.input):
                raise ConfigError(
                    f"Template.input: expected no label in the input, found {{{label}}}; remove it."
                )
        if self.metric not in METRICS:
            raise ConfigError(f"Task.metric: expected one of {', '.join(METRICS)}, found {self.metric!r}.")
        if min(self.inputs_length, self.targets_length) < 1:
            raise ConfigError("Task: expected inputs_length and targets_length of 1 or more.")
        splits = self.source.splits()
        if self.holdout and (self.holdout < 0 or "validation" in splits or "train" not in splits):
            raise ConfigError(
                "Task.holdout: expected 0, or a number of examples to take from 'train' where there is no "
                f"'validation', found {self.holdout} with splits {', '.join(splits)}."
            )

    def splits(self) -> tuple[str, ...]:
        """The splits there are, the held-out validation among them."""
        splits = self.source.splits()
        return tuple(s for s in SPLITS if s in splits or (s == "validation" and self.holdout))

    def variants(self) -> tuple[Variant, ...]:
        """The variants there are; fiat and distillation need rationales."""
        return VARIANTS if self.rationales or self.rationale_field else VARIANTS[:2]

    def readings(self) -> tuple[Reading, ...]:
        """The variants, and what distillation reads besides."""
        variants = self.variants()
        return (*variants, "explanation") if "distillation" in variants else variants

    def seqio_name(self, reading: Reading, language: str = "") -> str:
        """The name of a reading in seqio: of one language, or of all."""
        return ".".join(filter(None, (self.name, language, reading)))

    def tokens(self) -> Tokens:
        """The vocabulary, with the template checked against it.

        Raises:
          ConfigError: it does not load, or it cannot write the template's words.
        """
        tokens = load_tokens(self.vocabulary)
        self.template.check(tokens)
        return tokens

    def rows(self, split: str, languages: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
        """The rows of a split in the order of the files, checked; 'id' and 'language' are text in each.

        Args:
          split: one of `splits()`.
          languages: only these; by default all of the task's.

        Raises:
          ConfigError: there is no such split or language.
          DataError: a row lacks a field, an id comes twice, or a language has no row; the message names
            file and line.
        """
        if split not in self.splits():
            raise ConfigError(f"task {self.name}: expected a split of {self.splits()}, found {split!r}.")
        if unknown := [one for one in languages if one not in self.languages]:
            raise ConfigError(f"task {self.name}: expected languages of {self.languages}, found {unknown}.")
        languages = languages or self.languages
        if not self.holdout or split == "test":
            return self._apart(split, languages)
        return self._held_out(split == "validation", languages)

    def chosen(self, splits: tuple[str, ...], setting: str) -> tuple[str, ...]:
        """The splits that are named, or all that the task has where none is.

        Args:
          splits: their names.
          setting: what errors call them.

        Raises:
          ConfigError: the task has no such split.
        """
        known = self.splits()
        for split in splits:
            if split not in known:
                raise ConfigError(f"{setting}: expected some of {', '.join(known)}, found {split!r}.")
        return splits or known

    def labels(self) -> tuple[str, ...]:
        """The fields that hold the label, which no prompt may read."""
        own = (self.rationale_field,) if self.rationale_field else ()
        return (self.answer_field, *own, *template_fields(self.template.target))

    def input_fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """What the names of the input template stand for in a row; null is empty text."""
        return {
            name: "" if row[name] is None else str(row[name]) for name in template_fields(self.template.input)
        }

    def target(self, row: Mapping[str, Any]) -> str:
        """What the tuned model should write of a row."""
        return fill(self.template.target, {**row, "answer": self.answers(row)[0]})

    def answers(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The good answers of a row."""
        answers = row[self.answer_field]
        return tuple(map(str, answers)) if isinstance(answers, list) else (str(answers),)

    def _apart(self, split: str, languages: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """The rows of a split of the source, without the exemplars of the prompt."""
        rows = self._read(split, languages)
        if self.prompt is None:
            return rows
        return self.prompt.apart(rows, self.prompt.worked(self.labels()), split)

    def _read(self, split: str, languages: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        lines: dict[str, str] = {}
        found = set()
        for source_row in self.flat(self.source.rows(split, languages)):
            row, where = self.checked(source_row), source_row.where
            if row["id"] in lines:
                raise DataError(
                    f"{where}: expected each {self.id_field} once, but {row['id']!r} is at "
                    f"{lines[row['id']]} too; make the ids differ."
                )
            lines[row["id"]] = where
            if not languages or row["language"] in languages:
                found.add(row["language"])
                yield row
        absent = sorted(set(languages) - found)
        if absent or not lines:
            which = f" in {', '.join(absent)}" if absent else ""
            raise DataError(f"task {self.name}: expected rows{which} in split {split!r}, found none.")

    def _held_out(self, held: bool, languages: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """The rows of 'train' that are held out, or the others."""
        by_language = defaultdict(list)
        rows = list(self._apart("train", languages))
        for row in rows:
            by_language[row["language"]].append(row["id"])
        chosen = set()
        for language, ids in by_language.items():
            if len(ids) <= self.holdout:
                raise DataError(
                    f"task {self.name}: expected more than holdout = {self.holdout} training examples"
                    f"{' in ' * bool(language)}{language}, found {len(ids)}; lower Task.holdout."
                )
            chosen |= {(language, id) for id in sorted(ids, key=_hash)[: self.holdout]}
        yield from (row for row in rows if ((row["language"], row["id"]) in chosen) == held)

    def flat(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Rows of the source as the preprocessor gives them.

        Raises:
          DataError: one is not of its format; the message names file and line, and the field.
        """
        return flattened(self.preprocessor, rows) if self.preprocessor else iter(rows)

    def checked(self, row: Row) -> dict[str, Any]:
        """The row with 'id' and 'language' as text.

        Raises:
          DataError: it lacks a field that is needed.
        """
        for name in self._needed_fields(row.language is None):
            if name not in row.fields:
                found = ", ".join(map(repr, row.fields)) or "none"
                raise DataError(
                    f"{row.where}: expected a field {name!r}, found {found}; "
                    "add it, or name another one in Task or Template."
                )
            if not self._fits(name, row.fields[name]):
                raise DataError(f"{row.where}: expected text in field {name!r}, found {row.fields[name]!r}.")
        language = row.fields.get(self.language_field, "") if row.language is None else row.language
        return {**row.fields, "id": str(row.fields[self.id_field]), "language": str(language)}

    def unlabelled(self, fields: Mapping[str, Any], where: str, id: str) -> dict[str, Any]:
        """A row that needs no answer, with 'id' and 'language' as text.

        Args:
          fields: the row.
          where: what errors call it.
          id: its id, if it has none of its own.

        Raises:
          DataError: it lacks a field of the template, or holds something else than text or a number there.
        """
        for name in template_fields(self.template.input):
            if name not in fields:
                found = ", ".join(map(repr, fields)) or "no field"
                raise DataError(f"{where}: expected a field {name!r}, found {found}; add it or name another.")
            if not self._fits(name, fields[name]):
                raise DataError(f"{where}: expected text in field {name!r}, found {fields[name]!r}.")
        own, language = fields.get(self.id_field, id), fields.get(self.language_field)
        if not (_is_text(own) and str(own)):
            raise DataError(f"{where}: expected text in field {self.id_field!r}, found {own!r}.")
        return {**fields, "id": str(own), "language": "" if language is None else str(language)}

    def _fits(self, name: str, value: Any) -> bool:
        """Whether a field may have a value: text or a number; several as the answer; null in the input."""
        if value is None:
            labels = (self.answer_field, *template_fields(self.template.target))
            return name not in (self.id_field, self.language_field, *labels)
        several = name == self.answer_field and isinstance(value, list)
        return value != [] and all(map(_is_text, value if several else [value]))

    def _needed_fields(self, from_row: bool) -> tuple[str, ...]:
        """The fields that every row must have; `from_row` tells that its language stands in it."""
        target = [name for name in template_fields(self.template.target) if name != "answer"]
        language = [self.language_field] * (from_row and bool(self.languages))
        needed = [self.id_field, *language, *template_fields(self.template.input), *target, self.answer_field]
        return tuple(dict.fromkeys(needed))


def _is_text(value: Any) -> bool:
    """Whether it is text, without halves of characters as broken JSON escapes leave them, or a number."""
    if not isinstance(value, str):
        return isinstance(value, int | float)
    return value.isascii() or value == value.encode("utf-8", "ignore").decode("utf-8")


def _hash(id: str) -> str:
    return hashlib.sha256(id.encode("utf-8")).hexdigest()
