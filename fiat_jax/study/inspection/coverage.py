"""Which examples have a rationale, and what the rationales say of the answers."""

from collections.abc import Mapping, Sequence

from fiat_jax.reasoning.quality import holds
from fiat_jax.study.inspection.answers import by_language
from fiat_jax.study.inspection.reading import Rationales, Read
from fiat_jax.study.inspection.tables import Section, Table, percent


def coverage(splits: Mapping[str, Sequence[Read]], rationales: Rationales) -> Section:
    """The section on rationales.

    Args:
      splits: the examples of each.
      rationales: the task's.
    """
    rows = []
    for split, some in splits.items():
        for language, group in by_language(some):
            there = [one for one in group if one.rationale]
            said = sum(any(holds(one.rationale, answer) for answer in one.answers) for one in there)
            rows.append(
                (
                    split,
                    language,
                    f"{len(group):,}",
                    f"{len(there):,}",
                    f"{len(group) - len(there):,}",
                    percent(said, len(there)),
                    f"{sum(one.given_label for one in there):,}",
                )
            )
    head = ("split", "language", "n", "rationales", "without", "% hold the answer", "from the label")
    notes = ["That a rationale holds the answer is no leak: it was written without knowing it."]
    if any(one.given_label for some in splits.values() for one in some):
        notes = ["Of those not written from the label, one that holds the answer was no leak."]
    ids = {one.id for some in splits.values() for one in some}
    strangers = sum(id not in ids for texts in rationales.texts.values() for id in texts)
    if strangers:
        notes.append(f"{strangers:,} more are of no example of these splits, by their ids.")
    return Section("Rationales", notes, tables=[Table(head, tuple(rows), 5)])
