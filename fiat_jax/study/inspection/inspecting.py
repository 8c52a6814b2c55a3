"""A task looked at: its examples marked, its lengths, answers, repeats, rationales and lost letters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Reading
from fiat_jax.errors import ConfigError
from fiat_jax.study.inspection.answers import answers, by_language
from fiat_jax.study.inspection.coverage import coverage
from fiat_jax.study.inspection.lengths import lengths
from fiat_jax.study.inspection.letters import Letters, letters_table, name_of
from fiat_jax.study.inspection.marks import Marked, mark
from fiat_jax.study.inspection.reading import Rationales, Read, open_all, read, rows_of
from fiat_jax.study.inspection.repeats import repeats
from fiat_jax.study.inspection.tables import Section, Table, percent

UNKNOWN = 0.03
"""From this share of unknown tokens on, another vocabulary is recommended."""


@dataclass(frozen=True)
class Inspection:
    """What was seen of a task.

    Attributes:
      title: which task and reading.
      leaks: a sentence for each two sets that have examples in common and must not.
      warnings: sentences on what else should be mended.
      examples: some, marked.
      sections: the tables.
    """

    title: str
    leaks: tuple[str, ...]
    warnings: tuple[str, ...]
    examples: tuple[Marked, ...]
    sections: tuple[Section, ...]


def inspect_task(
    task: Task,
    reading: Reading | None,
    splits: Sequence[str],
    count: int,
    ids: Sequence[str] = (),
    alike: float = 0.8,
) -> Inspection:
    """Looks at a task.

    Args:
      task: the task.
      reading: what the model reads; None for fiat where there are rationales, or else instruction.
      splits: which, in order; the first one's examples are shown.
      count: how many examples are shown.
      ids: of these instead.
      alike: the overlap of two examples that are taken for one, 0 to 1.

    Raises:
      ConfigError: the task has no such reading or id, or the vocabulary does not load.
      DataError: a row lacks a field, or a file is broken.
    """
    rationales = open_all(task)
    reading = reading or ("fiat" if rationales.texts else "instruction")
    if reading not in task.readings():
        raise ConfigError(
            f"inspect.variant: expected one of {', '.join(task.readings())}, found {reading!r}."
        )
    examples = {split: read(task, reading, rows_of(task, split), rationales) for split in splits}
    letters, twice = Letters(task.tokens()), repeats(task, examples, alike)
    table, lost = letters_table(chain.from_iterable(examples.values()), letters)
    sections = [_rows(examples), lengths(task, examples), answers(task, examples), twice.section]
    if task.rationales:
        sections.append(coverage(examples, rationales))
    if table:
        notes = [f"In all: {', '.join(f'{name_of(one)} ({n:,})' for one, n in lost.most_common(20))}."]
        sections.append(Section("What the vocabulary cannot write", notes, tables=[table]))
    shown = _chosen(list(chain.from_iterable(examples.values())) if ids else examples[splits[0]], count, ids)
    counts = ", ".join(f"{split} {len(some):,}" for split, some in examples.items())
    return Inspection(
        f"{task.seqio_name(reading)}: {counts}",
        twice.leaks,
        (*twice.contradictions, *_warnings(task, reading, examples, rationales)),
        tuple(mark(task, reading, one, why, letters) for one, why in shown),
        tuple(sections),
    )


def _rows(splits: Mapping[str, Sequence[Read]]) -> Section:
    """Examples by split and language."""
    rows = []
    for split, some in splits.items():
        for language, group in by_language(some):
            tokens, unknown = sum(one.length for one in group), sum(one.unknown for one in group)
            rows.append(
                (
                    split,
                    language,
                    f"{len(group):,}",
                    f"{tokens:,}",
                    percent(unknown, tokens),
                    f"{sum(bool(one.cut) for one in group):,}",
                    f"{sum(bool(one.refused) for one in group):,}",
                )
            )
    head = ("split", "language", "n", "input tokens", "% unknown", "cut", "do not fit")
    return Section("Examples", tables=[Table(head, tuple(rows), 5)])


def _chosen(examples: Sequence[Read], count: int, ids: Sequence[str]) -> list[tuple[Read, str]]:
    """The examples to show, each with the reason: those named, or the extreme ones and then the first."""
    if ids:
        known = {one.id: one for one in examples}
        if absent := [id for id in ids if id not in known]:
            raise ConfigError(f"inspect.ids: expected ids of examples, found none of {', '.join(absent)}.")
        return [(known[id], "as asked") for id in ids]
    chosen: dict[str, tuple[Read, str]] = {}
    longest = max(examples, key=lambda one: sum(one.cut.values()))
    strangest = max(examples, key=lambda one: one.unknown)
    candidates = [(examples[0], "the first")]
    candidates += [(longest, "the one that is cut most")] * bool(longest.cut)
    candidates += [(strangest, "the one with most unknown tokens")] * bool(strangest.unknown)
    candidates += [(one, "in order") for one in examples[1 : count + 3]]
    for one, why in candidates:
        chosen.setdefault(one.id, (one, why))
    return list(chosen.values())[:count]


def _warnings(
    task: Task, reading: Reading, splits: Mapping[str, Sequence[Read]], rationales: Rationales
) -> list[str]:
    """What should be mended before training, each with how."""
    said = [f"{place} is not there yet; `fiat annotate` writes rationales." for place in rationales.absent]
    for split, some in splits.items():
        if refused := [one for one in some if one.refused]:
            said.append(
                f"Examples of {split} that do not fit and would stop a run: {len(refused):,}, such as "
                f"{refused[0].id}: {refused[0].refused}"
            )
        without = [one for one in some if not one.rationale]
        refuses = split != "train" or task.without_rationale == "refuse"
        if reading in ("fiat", "explanation") and rationales.texts and without and refuses:
            said.append(
                f"Examples of {split} without a rationale, which would stop a run: {len(without):,}, such as "
                f"{without[0].id}; write them with `fiat annotate`, or see Task.without_rationale."
            )
    if marked := sum(one.given_label for some in splits.values() for one in some):
        said.append(f"Rationales written from the label: {marked:,}; a task with these is never evaluated.")
    for language, group in by_language(list(chain.from_iterable(splits.values()))):
        tokens, unknown = sum(one.length for one in group), sum(one.unknown for one in group)
        if language != "all" and unknown >= UNKNOWN * max(tokens, 1):
            said.append(
                f"{percent(unknown, tokens)} % of the input tokens{' in ' * bool(language)}{language} are "
                "unknown to the vocabulary; models/mt5.gin and models/byt5.gin write more letters."
            )
    return said
