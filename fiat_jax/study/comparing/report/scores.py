"""Scores by paradigm and size, and how they rise with more examples."""

from fiat_jax.study.charts import lines
from fiat_jax.study.comparing.report.blocks import Block, Picture, Section, Table
from fiat_jax.study.comparing.report.efficiency import efficiencies, efficiency_table
from fiat_jax.study.comparing.report.found import ABSENT, Found, Line
from fiat_jax.study.comparing.report.rivals import KINDS


def scores(found: Found) -> Section:
    """The table, the learning curves, and data efficiency."""
    if not found.runs:
        return Section("Scores", [])
    blocks: list[Block] = [_curves(found)] if found.sizes != (None,) else []
    sizes = [size for size in (None, *found.sizes) if any((line, size) in found.runs for line in found.lines)]
    head = [
        "paradigm",
        *("not tuned" if size is None else f"{size:,} examples" for size in dict.fromkeys(sizes)),
    ]
    rows = []
    for line in found.lines:
        rows.append([line.label, *(_cell(found, line, size) for size in dict.fromkeys(sizes))])
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


def _curves(found: Found) -> Picture:
    tuned = [line for line in found.lines if (line, None) not in found.runs]
    curves: dict[str, list[tuple[float, float]]] = {}
    bars: dict[str, list[tuple[float, float, float]]] = {}
    for line in tuned:
        its = [
            (size, found.estimates[line, size]) for size in found.sizes if size and (line, size) in found.runs
        ]
        if len(its) > 1 or len(found.sizes) == 1:
            curves[line.label] = [(size, one.value) for size, one in its]
            bars[line.label] = [(size, one.low, one.high) for size, one in its]
    levels = {
        line.label: (one.value, one.low, one.high)
        for line in found.lines
        if (one := found.estimates.get((line, None)))
    }
    title = f"{found.study.unit} by training examples"

    def draw(width: float) -> str:
        return lines(
            found.study.unit,
            curves,
            "training examples",
            bottom=None,
            bars=bars,
            levels=levels,
            log=True,
            width=width,
            looks=found.looks,
        )

    note = (
        "Bars and bands are intervals of 95 %. What is not tuned goes straight across. Twice as many "
        "examples are as far to the right everywhere. What has run at one size alone is in the table below."
    )
    return Picture("learning_curves", title, draw, note)
