"""The answers of a task: how they are distributed, or how many are spans of the passage."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from fiat_jax.data.tasks import Task
from fiat_jax.reasoning.quality import holds
from fiat_jax.study.inspection.reading import Read
from fiat_jax.study.inspection.tables import Section, Table, percent

FEW = 20
"""So many distinct answers are labels."""
_FREQUENT = 5


def by_language(examples: Sequence[Read]) -> Iterator[tuple[str, list[Read]]]:
    """Examples by language, in order of appearance, and all of them where there are several languages."""
    languages = list(dict.fromkeys(one.language for one in examples))
    if len(languages) > 1:
        yield from ((name, [one for one in examples if one.language == name]) for name in languages)
        yield "all", list(examples)
    elif languages:
        yield languages[0], list(examples)


def answers(task: Task, splits: Mapping[str, Sequence[Read]]) -> Section:
    """The section on answers.

    Args:
      task: the field that it cuts is the passage.
      splits: the examples of each.
    """
    distinct = {one.answers[0] for some in splits.values() for one in some}
    if len(distinct) <= FEW:
        return Section("Answers", [f"{len(distinct)} distinct answers."], tables=[_labels(splits)])
    passage, rows = task.template.passage, []
    for split, some in splits.items():
        for language, group in by_language(some):
            counts = Counter(one.answers[0] for one in group)
            spans = sum(holds(one.fields.get(passage, ""), one.answers[0]) for one in group)
            frequent = [f"{answer[:30]} ({count:,})" for answer, count in counts.most_common(_FREQUENT)]
            rows.append(
                (
                    split,
                    language,
                    ", ".join(frequent),
                    f"{len(group):,}",
                    f"{len(counts):,}",
                    percent(counts.most_common(1)[0][1], len(group)),
                    percent(spans, len(group)) if passage else "-",
                )
            )
    head = ("split", "language", "most frequent", "n", "distinct", "% the first", f"% in {passage or '-'}")
    notes = [f"{len(distinct):,} distinct answers, too many for labels."]
    return Section("Answers", notes, tables=[Table(head, tuple(rows), 4)])


def _labels(splits: Mapping[str, Sequence[Read]]) -> Table:
    rows = []
    for split, some in splits.items():
        for language, group in by_language(some):
            counts = Counter(one.answers[0] for one in group)
            rows += [
                (split, language, answer, f"{count:,}", percent(count, len(group)))
                for answer, count in counts.most_common()
            ]
    return Table(("split", "language", "answer", "n", "%"), tuple(rows), 2)
