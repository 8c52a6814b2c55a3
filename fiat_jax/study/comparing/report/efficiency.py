"""How many examples one line needs to reach the reference."""

from functools import lru_cache

from fiat_jax.study.comparing.report.blocks import Table
from fiat_jax.study.comparing.report.found import Found
from fiat_jax.study.comparing.report.line import Line
from fiat_jax.study.comparing.report.rivals import best_of, reference
from fiat_jax.study.statistics import Needed, examples_text, interval_text, needed, run_name

LEAST = 3
"""Sizes that a curve needs."""


@lru_cache(maxsize=4)
def efficiencies(found: Found, kind: str) -> list[Needed]:
    """How many examples the best of a kind needs to reach the reference at each size; [] of too few sizes."""
    goal = reference(found, found.largest)
    one = best_of(found, goal, kind, found.largest) if goal else None
    if goal is None or one is None or len(curve := _curve(found, one)) < LEAST:
        return []
    seeds = set.intersection(*(set(found.runs[place].seeds) for place in curve))
    goals = [found.runs[goal, size] for size in found.sizes if (goal, size) in found.runs]
    return [
        needed([found.runs[place] for place in curve], to, found.score, resamples=found.resamples)
        for to in goals
        if seeds & set(to.seeds)
    ]


def efficiency_table(found: Found, some: list[Needed]) -> Table:
    """A row for each."""
    rows = [
        (
            one.paradigm,
            f"{run_name(one.goal, one.goal_regime)}\n{one.score:.1f} {found.study.unit}",
            f"{examples_text(one, one.examples)}\n({interval_text(one)})",
        )
        for one in some
    ]
    return Table(("paradigm", "to reach", "examples needed"), rows, 2, "Data efficiency, from fitted curves")


def _curve(found: Found, line: Line) -> list[tuple[Line, int | None]]:
    return [(line, size) for size in found.sizes if size is not None and (line, size) in found.runs]
