"""A task: rows, what the model reads of them, and how its answers are scored."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fiat_jax.data.metrics import METRICS
from fiat_jax.data.metrics.places import OVERALL, Places
from fiat_jax.data.preprocessors import Preprocessor, flattened
from fiat_jax.data.rates import Mixing
from fiat_jax.data.regimes import Regime, held_out, keys_of
from fiat_jax.data.settings import check_settings
from fiat_jax.data.sources import SPLITS, Json, Jsonl, Parquet, Row, Tfds
from fiat_jax.data.tables import Table
from fiat_jax.data.templates import VARIANTS, Filling, Reading, Template, Variant
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
        which the first is the target; `Template.no_answer` stands for none.
      holdout: how many examples a language gives from 'train' to a 'validation' split of its own, chosen
        by a hash of their ids; 0 for none.
      regime: which of the other training examples are used; None for all.
      mixing: how often a language comes in training: 'proportional' to its examples, 'equal', or a
        temperature T of 1 or more, for rates of n ** (1 / T) of n examples.
      inputs_length, targets_length: tokens at most, the end among them.
      buckets: lengths that inputs are padded to, ascending, the last at least inputs_length; fewer compile
        less and pad more. () for the usual ones.
      metrics: how answers are scored, by the names of `METRICS`. The first score of the first is the headline
        score, by which the best checkpoint is chosen.
      mean_of: the languages whose mean is the overall score; () for all.
      groups: further means by name, each of some languages.
      prompt: the reasoning prompt, whose exemplars then neither tune nor validate: 'train' is without them
        and without what nearly is one of them, and in another split they are a leak.
      without_rationale: what becomes of a training example that has no rationale: 'refuse' is an error,
        'leave_out' tunes without the example, and 'no_rationale' tunes on it without a rationale. In
        another split it is always an error.
      cache: a folder with the token ids, as `fiat cache` writes them; training and evaluation then read them
        from there, without TensorFlow. None: they are made anew each time.
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
    regime: Regime | None = None
    mixing: Mixing = "proportional"
    inputs_length: int = 512
    targets_length: int = 64
    buckets: tuple[int, ...] = ()
    metrics: tuple[str, ...] = ("squad",)
    mean_of: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prompt: Prompt | None = None
    without_rationale: Literal["refuse", "leave_out", "no_rationale"] = "refuse"
    cache: str | None = None

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def headline(self) -> str:
        """The name of the score that matters most."""
        return next(iter(METRICS[self.metrics[0]].labels))

    def places(self, languages: Sequence[str]) -> Places:
        """Where the scores of examples in these languages stand."""
        return Places(languages, {**self.groups, OVERALL: self.mean_of})

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
        self.check_part(split, languages)
        languages = languages or self.languages
        if split == "train" and (self.holdout or self.regime):
            return self._used(languages)
        if split == "validation" and self.holdout:
            return self._held(languages)
        return self._apart(split, languages)

    def check_part(self, split: str, languages: tuple[str, ...] = ()) -> None:
        """Makes sure that there is such a split, and each of the languages.

        Raises:
          ConfigError: there is not.
        """
        if split not in self.splits():
            raise ConfigError(f"task {self.name}: expected a split of {self.splits()}, found {split!r}.")
        if unknown := [one for one in languages if one not in self.languages]:
            raise ConfigError(f"task {self.name}: expected languages of {self.languages}, found {unknown}.")

    def check_reading(self, reading: Reading) -> None:
        """Makes sure that the task can be read so.

        Raises:
          ConfigError: it cannot.
        """
        if reading not in self.readings():
            raise ConfigError(
                f"task {self.name}: expected a variant of {', '.join(self.variants())}, found {reading!r}"
                + ("; set Task.rationales." if reading in ("fiat", "distillation", "explanation") else ".")
            )

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

    def input_names(self) -> tuple[str, ...]:
        """The fields of a row to be answered: the input's, and its language where instructions go by it."""
        by_language = [self.language_field] * any(self.template.instructions)
        return (*template_fields(self.template.input), *by_language)

    def input_fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """What the names of the input template stand for in a row; null is empty text."""
        return {
            name: "" if row[name] is None else str(row[name]) for name in template_fields(self.template.input)
        }

    def filling(self, row: Mapping[str, Any], rationale: str = "") -> Filling:
        """What a row with its rationale puts into the template."""
        return Filling(row["id"], row["language"], self.input_fields(row), rationale)

    def target(self, row: Mapping[str, Any]) -> str:
        """What the tuned model should write of a row."""
        written = self.template.write(self.answers(row)[0])
        return fill(self.template.target, {**row, self.answer_field: written, "answer": written})

    def answers(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The good answers of a row, as labels where these are written otherwise."""
        answers = row[self.answer_field]
        if _is_empty(answers) and self.template.no_answer is not None:
            return (self.template.no_answer,)
        return tuple(map(str, answers)) if isinstance(answers, list) else (str(answers),)

    def read(self, text: str) -> str:
        """The answer that a text of the tuned model stands for: of what is written for a label, the label."""
        return self.template.read(text)

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

    def _held(self, languages: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """The rows of 'train' that are held out."""
        rows = list(self._apart("train", languages))
        held = held_out(keys_of(rows), self.holdout, self.name)
        yield from (row for row in rows if (row["language"], row["id"]) in held)

    def _used(self, languages: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """The rows of 'train' that are not held out, and are of the regime, which is one of all languages."""
        rows = list(self._apart("train", self.languages if self.regime else languages))
        keys = keys_of(rows)
        used = set(keys)
        if self.holdout:
            used -= held_out(keys, self.holdout, self.name)
        if self.regime:
            used = self.regime.choose(used, self.name)
        for row in rows:
            if (row["language"], row["id"]) in used and (not languages or row["language"] in languages):
                yield row

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
                raise DataError(
                    f"{row.where}: expected text in field {name!r}, found {row.fields[name]!r}"
                    + "; set Template.no_answer to what is written then." * (name == self.answer_field)
                )
        if unknown := [one for one in self.answers(row.fields) if not self.template.knows(one)]:
            known = ", ".join(map(repr, self.template.verbaliser))
            raise DataError(
                f"{row.where}: expected a label of Template.verbaliser ({known}) in field "
                f"{self.answer_field!r}, found {unknown[0]!r}; add it there, or mend the row."
            )
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
        for name in self.input_names():
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
        if name == self.answer_field:
            if _is_empty(value):
                return self.template.no_answer is not None
            return all(map(_is_text, value if isinstance(value, list) else [value]))
        if value is None:
            return name not in (self.id_field, self.language_field, *template_fields(self.template.target))
        return _is_text(value)

    def _needed_fields(self, from_row: bool) -> tuple[str, ...]:
        """The fields that every row must have; `from_row` tells that its language stands in it."""
        target = [name for name in template_fields(self.template.target) if name != "answer"]
        language = [self.language_field] * (from_row and bool(self.languages))
        needed = [self.id_field, *language, *template_fields(self.template.input), *target, self.answer_field]
        return tuple(dict.fromkeys(needed))


def _is_empty(answers: Any) -> bool:
    """Whether there is no answer: null, text of white space, or a list of nothing else."""
    if isinstance(answers, list):
        return all(map(_is_empty, answers))
    return answers is None or (isinstance(answers, str) and not answers.strip())


def _is_text(value: Any) -> bool:
    """Whether it is text, without halves of characters as broken JSON escapes leave them, or a number."""
    if not isinstance(value, str):
        return isinstance(value, int | float)
    return value.isascii() or value == value.encode("utf-8", "ignore").decode("utf-8")
