"""Scores by paradigm and size, and how they rise with more examples."""

from fiat_jax.study.charts import groups, lines
from fiat_jax.study.comparing.report.blocks import Block, Picture, Section, Table
from fiat_jax.study.comparing.report.efficiency import efficiencies, efficiency_table
from fiat_jax.study.comparing.report.found import ABSENT, Found, interval
from fiat_jax.study.comparing.report.line import Line
from fiat_jax.study.comparing.report.rivals import KINDS

_HOW = (
    "Bars and bands are intervals of 95 %. What is not tuned goes straight across. Twice as many examples "
    "are as far to the right everywhere. What has run at one size alone is in the table below."
)


def scores(found: Found) -> Section:
    """The table, the learning curves, and data efficiency."""
    if not found.runs:
        return Section("Scores", [])
    blocks: list[Block] = [_picture(found)]
    run_at = {size for _, size in found.runs}
    sizes = [size for size in dict.fromkeys((None, *found.sizes)) if size in run_at]
    head = ["paradigm", *("not tuned" if size is None else f"{size:,} examples" for size in sizes)]
    rows = [[line.label, *(_cell(found, line, size) for size in sizes)] for line in found.lines]
    blocks.append(
        Table(head, rows, numbers=len(head) - 1, title=f"{found.study.unit}, with intervals of 95 %")
    )
    if needs := [one for kind in KINDS for one in efficiencies(found, kind)]:
        blocks.append(efficiency_table(found, needs))
    return Section("Scores", blocks)


def _cell(found: Found, line: Line, size: int | None) -> str:
    """A score with its interval, and its spread over seeds."""
    one = found.estimates.get((line, size))
    if one is None:
        return "" if (size is None) != ((line, None) in found.runs) else ABSENT
    seeds = "no seed" if not one.seeds else "1 seed" if one.seeds == 1 else f"{one.seeds} seeds"
    spread = "" if one.sd is None else f", sd {one.sd:.1f}"
    return f"{one.value:.1f}\n({one.low:.1f} to {one.high:.1f})\n{seeds}{spread}"


def _picture(found: Found) -> Picture:
    """Learning curves; or, where nothing has run at two sizes, what there is at each."""
    unit, curves = found.study.unit, _curves(found)
    if curves:
        levels = {line.label: interval(one) for (line, size), one in found.estimates.items() if size is None}
        bars = {name: [(size, low, high) for size, (_, low, high) in its] for name, its in curves.items()}
        means = {name: [(size, value) for size, (value, _, _) in its] for name, its in curves.items()}

        def draw(width: float) -> str:
            across = "training examples"
            return lines(unit, means, across, None, None, bars, levels, True, width, found.looks)

        return Picture("scores", f"{unit} by training examples", draw, _HOW)
    by_size: dict[str, dict[str, tuple[float, float, float]]] = {}
    for (line, size), one in found.estimates.items():
        by_size.setdefault("" if size is None else f"{size:,}", {})[line.label] = interval(one)
    return Picture(
        "scores",
        f"{unit} of each paradigm",
        lambda width: groups(unit, by_size, width, found.looks),
        "With intervals of 95 %; on the left is how many training examples there were, if any.",
    )


def _curves(found: Found) -> dict[str, list[tuple[int, tuple[float, float, float]]]]:
    """Scores by size of each line that has run at two sizes or more."""
    by_line: dict[str, list[tuple[int, tuple[float, float, float]]]] = {}
    for line in found.lines:
        its = [
            (size, found.estimates[line, size]) for size in found.sizes if size and (line, size) in found.runs
        ]
        if len(its) > 1:
            by_line[line.label] = [(size, interval(one)) for size, one in its]
    return by_line
