"""FIAT without its ingredients: one after another, and each alone."""

from collections.abc import Sequence

from fiat_jax.study.charts import Step, steps
from fiat_jax.study.comparing.paradigms import ALONE, CUMULATIVE, INGREDIENTS
from fiat_jax.study.comparing.report.blocks import Block, Items, Picture, Section, Table, Text
from fiat_jax.study.comparing.report.explained import label
from fiat_jax.study.comparing.report.found import ABSENT, FIAT, Found, Tested, at_size
from fiat_jax.study.comparing.report.line import Line
from fiat_jax.study.comparing.report.tests import chances, gap
from fiat_jax.study.statistics import Estimate

Taken = tuple[str, Line, Line]
"""What is taken away, the line without it, and the line with it."""


def ablations(found: Found) -> Section:
    """The waterfall, and both tables, at the largest size that FIAT has run at."""
    title = "What each ingredient gives"
    size, fiat = _start(found)
    if fiat is None:
        return Section(title, [Text("FIAT has not run: nothing can be taken from it.")])
    gone, absent = _one_after_another(found, fiat, size)
    alone = [
        (f"without {ingredient}", line, fiat)
        for ingredient, name in zip(INGREDIENTS, ALONE, strict=True)
        if (line := _fitting(found, fiat, name, size))
    ]
    pairs = list(dict.fromkeys((one, other, size) for _, one, other in [*gone, *alone]))
    tested = {(test.one, test.other): test for test in found.test(pairs, {"": found.score})}
    blocks: list[Block] = []
    if gone:
        blocks.append(_waterfall(found, fiat, size, gone, tested))
        blocks.append(_table("One after another, as in the paper's Table 3", found, size, gone, tested))
    if alone:
        blocks.append(_table("One alone, with all others in place", found, size, alone, tested))
    absent += [
        f"Alone, without {ingredient}: {label(name, found.study.paradigms)}"
        for ingredient, name in zip(INGREDIENTS, ALONE, strict=True)
        if not _fitting(found, fiat, name, size)
    ]
    if absent:
        blocks.append(Items([f"{one} was {ABSENT}{at_size(size)}." for one in absent]))
    return Section(title, blocks)


def _start(found: Found) -> tuple[int | None, Line | None]:
    """The largest size that FIAT has run at, and its best line there."""
    its = [line for line in found.references if line.paradigm == FIAT]
    for size in reversed(found.sizes):
        if best := found.best(its, size):
            return size, best
    return None, None


def _fitting(found: Found, other: Line, name: str, size: int | None) -> Line | None:
    """The first line of a paradigm that can be compared with another."""
    its = [line for line in found.at(size) if line.paradigm == name and other.fits(line)]
    return next((line for line in its if found.share_seeds(line, other, size)), None)


def _one_after_another(found: Found, fiat: Line, size: int | None) -> tuple[list[Taken], list[str]]:
    """The steps that have run, each from the last that has; and the names of those that have not."""
    gone, absent, before, lost = list[Taken](), list[str](), fiat, list[str]()
    for ingredient, name in zip(INGREDIENTS, CUMULATIVE[1:], strict=True):
        lost.append(ingredient)
        if line := _fitting(found, before, name, size):
            what = f"without {' and '.join(lost)}"
            gone.append((f"and {what}" if gone else what, line, before))
            before, lost = line, []
        else:
            absent.append(f"One after another, without {ingredient}: {label(name, found.study.paradigms)}")
    return gone, absent


def _waterfall(
    found: Found,
    fiat: Line,
    size: int | None,
    gone: Sequence[Taken],
    tested: dict[tuple[Line, Line], Tested],
) -> Picture:
    first = found.estimates[fiat, size]
    taken = [Step(fiat.label, None, first.value, first.low, first.high, _said(first, ""))]
    for name, one, other in gone:
        before, after = (found.estimates[found.place(line, size)] for line in (other, one))
        change = tested[one, other].found.difference
        taken.append(Step(name, before.value, after.value, after.low, after.high, _said(change, "+")))
    title = f"{found.study.unit} of FIAT{at_size(size)} losing one ingredient after another"

    def draw(width: float) -> str:
        return steps(found.study.unit, taken, width)

    note = (
        "A bar is what a step changes: filled where it loses, outlined where it gains. The thin line is "
        "the interval of the score after it; the difference with its own interval is on the right."
    )
    return Picture("ablation", title, draw, note)


def _said(one: Estimate, sign: str) -> str:
    return f"{one.value:{sign}.1f} ({one.low:{sign}.1f} to {one.high:{sign}.1f})"


def _table(
    title: str,
    found: Found,
    size: int | None,
    taken: Sequence[Taken],
    tested: dict[tuple[Line, Line], Tested],
) -> Table:
    rows = []
    for name, one, other in taken:
        test, score = tested[one, other], found.estimates[found.place(one, size)]
        shown = f"{score.value:.1f}\n({score.low:.1f} to {score.high:.1f})"
        rows.append((f"{name}\n({one.label})", shown, gap(test), chances(test)))
    return Table(("taken away", found.study.unit, "difference", "p\nHolm's"), rows, numbers=3, title=title)
