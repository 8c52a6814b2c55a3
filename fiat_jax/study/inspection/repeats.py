"""What stands twice: within a split, in two of them, and in the prompt's exemplars."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from fiat_jax.data.tasks import Task
from fiat_jax.reasoning.exemplars import Exemplar, values
from fiat_jax.reasoning.overlap import plain
from fiat_jax.study.inspection.near import Twins, twins
from fiat_jax.study.inspection.reading import Read
from fiat_jax.study.inspection.tables import Section, Table


@dataclass(frozen=True)
class Repeats:
    """What stands twice.

    Attributes:
      section: said.
      leaks: a sentence for each pair of splits that have something in common, and what to do.
      contradictions: the same for inputs with different answers.
    """

    section: Section
    leaks: tuple[str, ...]
    contradictions: tuple[str, ...]


@dataclass(frozen=True)
class _Pair:
    """Two sets of examples and what they have in common."""

    left: str
    right: str
    left_ids: Sequence[str]
    right_ids: Sequence[str]
    twins: Twins

    @property
    def name(self) -> str:
        return f"{self.left} and {self.right}"

    def rows(self) -> list[tuple[str, ...]]:
        exact = [(at, one, "exactly", "100") for at, one in self.twins.exact.items()]
        near = [(at, twin.at, "nearly", f"{100 * twin.share:.0f}") for at, twin in self.twins.near.items()]
        return [
            (self.name, self.right_ids[at], self.left_ids[one], how, share)
            for at, one, how, share in exact + near
        ]

    def leak(self) -> str:
        """What is said of it; '' where nothing is in common, or it does no harm."""
        exact, near = len(self.twins.exact), len(self.twins.near)
        if not exact + near or (self.left, self.right) == ("exemplars", "train"):
            return ""
        mend = (
            "take these exemplars out of the prompt"
            if self.left == "exemplars"
            else f"take them out of {self.left}, or scores on {self.right} are too high"
        )
        return (
            f"LEAK: examples of {self.right} that stand in {self.left} too: {exact + near:,} of "
            f"{len(self.right_ids):,} ({exact:,} exactly, {near:,} nearly); {mend}."
        )


def repeats(task: Task, splits: Mapping[str, Sequence[Read]], alike: float) -> Repeats:
    """Compares all examples with all others.

    Args:
      task: whose prompt has exemplars, or none.
      splits: the examples of each.
      alike: the overlap of two that are taken for one, 0 to 1.
    """
    pairs = [
        _Pair(
            one,
            other,
            [read.id for read in splits[one]],
            [read.id for read in splits[other]],
            twins([read.fields for read in splits[one]], [read.fields for read in splits[other]], alike),
        )
        for one, other in combinations(splits, 2)
    ] + _exemplar_pairs(task)
    listed = [row for pair in pairs for row in pair.rows()]
    counts = [
        (pair.name, f"{len(pair.right_ids):,}", f"{len(pair.twins.exact):,}", f"{len(pair.twins.near):,}")
        for pair in pairs
    ]
    within, contradictions = _within(splits)
    notes = [
        f"Nearly: each field shares {100 * alike:.0f} % of its character 5-grams with the other's, or is a "
        "part of it; case and marks do not count."
    ]
    notes += [
        f"{pair.name}: too many are alike to compare all; there may be more."
        for pair in pairs
        if not pair.twins.compared_all
    ]
    notes += _shared_ids(splits) if task.rationales else []
    tables = [Table(("between", "of", "exactly", "nearly"), tuple(counts), 3, "In two of them")] * bool(pairs)
    if listed:
        head = ("between", "of the second", "of the first", "how", "%")
        tables.append(Table(head, tuple(listed), 1, "Which", most=20))
    return Repeats(
        Section("What stands twice", notes, tables=tables + within),
        tuple(filter(None, (pair.leak() for pair in pairs))),
        contradictions,
    )


def _exemplar_pairs(task: Task) -> list[_Pair]:
    """The prompt's exemplars against each split of the source, by the prompt's own rule."""
    if task.prompt is None or not task.prompt.exemplars:
        return []
    exemplars = task.prompt.worked(task.labels())
    bare = replace(task, prompt=None, holdout=0)
    pairs = []
    for split in task.source.splits():
        rows = list(bare.rows(split))
        fields = [values(f"example {row['id']!r}", task.prompt.input, row) for row in rows]
        found = twins([dict(one.fields) for one in exemplars], fields, task.prompt.alike)
        by_id = {one.id: at for at, one in enumerate(exemplars) if one.id}
        exact = found.exact | {at: by_id[row["id"]] for at, row in enumerate(rows) if row["id"] in by_id}
        near = {at: twin for at, twin in found.near.items() if at not in exact}
        names = [_called(one) for one in exemplars]
        ids = [row["id"] for row in rows]
        pairs.append(_Pair("exemplars", split, names, ids, found._replace(exact=exact, near=near)))
    return pairs


def _called(exemplar: Exemplar) -> str:
    return exemplar.id or " ".join(exemplar.input.split())[:40]


def _within(splits: Mapping[str, Sequence[Read]]) -> tuple[list[Table], tuple[str, ...]]:
    """Inputs that come more than once in a split, and what is said of those with different answers."""
    counts, listed, said = [], [], []
    for split, some in splits.items():
        groups: dict[tuple[str, ...], list[Read]] = defaultdict(list)
        for one in some:
            groups[tuple(" ".join(text.split()) for text in one.fields.values())].append(one)
        several = [group for group in groups.values() if len(group) > 1]
        several.sort(key=lambda group: not _contradict(group))
        against = [group for group in several if _contradict(group)]
        counts.append((split, *(f"{n:,}" for n in (len(some), len(several), len(against)))))
        for group in several:
            answers = dict.fromkeys(one.answers[0][:40] for one in group)
            listed.append((split, _few([one.id for one in group]), _few(list(answers)), f"{len(group):,}"))
        if against:
            ids = _few([one.id for one in against[0]])
            said.append(
                f"Inputs of {split} that have different answers there: {len(against):,}, such as {ids}; keep "
                "one answer of each, or give a row all its good answers as a list."
            )
    tables = [Table(("split", "n", "repeated", "with other answers"), tuple(counts), 3, "In one of them")]
    if listed:
        head = ("split", "ids", "answers", "times")
        tables.append(Table(head, tuple(listed), 1, "Repeated inputs", most=10))
    return tables, tuple(said)


def _contradict(group: Sequence[Read]) -> bool:
    """Whether two of some examples have no answer in common."""
    answers = {frozenset(map(plain, one.answers)) for one in group}
    return any(not one & other for one, other in combinations(answers, 2))


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6])
    return f"{shown}, and {len(names) - 6:,} more" if len(names) > 6 else shown


def _shared_ids(splits: Mapping[str, Sequence[Read]]) -> list[str]:
    """What is said of ids that are used in two splits for different inputs: they share a rationale."""
    said = []
    for one, other in combinations(splits, 2):
        fields = {read.id: read.fields for read in splits[one]}
        same = [read.id for read in splits[other] if read.id in fields and fields[read.id] != read.fields]
        if same:
            said.append(
                f"Ids of {other} that are other examples of {one}: {len(same):,}, such as {same[0]}; an id "
                "has one rationale, so make them differ."
            )
    return said
