"""How long inputs, targets and rationales are, and how much is cut."""

from collections.abc import Mapping, Sequence

from fiat_jax.data.tasks import Task
from fiat_jax.study.inspection.reading import Read
from fiat_jax.study.inspection.tables import Histogram, Section, Table, percent

BINS = 60
_STEPS = (1, 2, 5)


def lengths(task: Task, splits: Mapping[str, Sequence[Read]]) -> Section:
    """The section on lengths.

    Args:
      task: the lengths that it allows.
      splits: the examples of each.
    """
    kinds = {
        "input": ({split: [one.whole for one in some] for split, some in splits.items()}, task.inputs_length),
        "target": (
            {split: [one.target_length for one in some] for split, some in splits.items()},
            task.targets_length,
        ),
        "rationale": (
            {
                split: [one.rationale_length for one in some if one.rationale]
                for split, some in splits.items()
            },
            None,
        ),
    }
    charts, rows = [], []
    for kind, (by_split, limit) in kinds.items():
        there = {split: some for split, some in by_split.items() if some}
        if there:
            charts.append(_histogram(f"{kind} tokens", there, limit))
        for split, some in there.items():
            over = sum(one > limit for one in some) if limit else None
            rows.append(
                (
                    kind,
                    split,
                    *(f"{percentile(some, share):,}" for share in (0, 50, 90, 99, 100)),
                    f"{limit:,}" if limit else "-",
                    "-" if over is None else f"{over:,}",
                )
            )
    head = ("", "split", "least", "median", "90 %", "99 %", "most", "limit", "longer")
    notes = ["Inputs are counted before anything is cut, ends among the tokens."]
    tables = [Table(head, tuple(rows), 7), *_cut_table(splits)]
    return Section("Lengths", notes, charts, tables)


def percentile(values: Sequence[int], share: float) -> int:
    """The least of some values that at least a share of them, in percent, does not pass."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100).__trunc__() - 1)]


def _histogram(title: str, by_split: Mapping[str, Sequence[int]], limit: int | None) -> Histogram:
    """Bars up to twice the limit or what nearly all are within, whichever is more; the last has the rest."""
    usual = max(percentile(some, 99) for some in by_split.values())
    most = max(limit or 0, min(max(max(some) for some in by_split.values()), 2 * max(limit or 0, usual)))
    step = next(unit * 10**power for power in range(9) for unit in _STEPS if unit * 10**power * BINS > most)
    inside = -(-(limit or most) // step)
    counts = {}
    for split, some in by_split.items():
        of_bins = [0] * (inside + -(-(most - (limit or most)) // step))
        for one in some:
            within = limit is None or one <= limit
            at = (one - 1) // step if within else inside + (one - (limit or 0) - 1) // step
            of_bins[min(at, len(of_bins) - 1)] += 1
        counts[split] = tuple(of_bins)
    above = any(one > most for some in by_split.values() for one in some)
    return Histogram(f"{title}{', the last bar all that is longer' * above}", counts, step, limit)


def _cut_table(splits: Mapping[str, Sequence[Read]]) -> list[Table]:
    """How many are cut, and by how much; nothing where none is."""
    rows = []
    for split, some in splits.items():
        for field in dict.fromkeys(name for one in some for name in one.cut):
            cut = [one for one in some if field in one.cut]
            shares = [one.cut[field] / max(len(one.fields[field]), 1) for one in cut]
            lost = [one.whole - one.length for one in cut]
            rows.append(
                (
                    split,
                    field,
                    f"{len(cut):,} of {len(some):,}",
                    percent(sum(shares), len(shares)),
                    percent(max(shares), 1),
                    f"{percentile(lost, 50):,}",
                    f"{max(lost):,}",
                )
            )
    if not rows:
        return []
    head = ("split", "field", "cut", "% of it, mean", "% of it, most", "tokens, median", "tokens, most")
    return [Table(head, tuple(rows), 5, "What is cut")]
