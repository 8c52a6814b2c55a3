"""All that is compared with FIAT, tested on the same examples and seeds."""

from collections.abc import Mapping
from typing import TypeVar

from fiat_jax.study.comparing.report.blocks import Block, Section, Table, Text
from fiat_jax.study.comparing.report.found import ABSENT, Found, Tested, at_size, named
from fiat_jax.study.comparing.report.rivals import rivals
from fiat_jax.study.statistics import Score

K = TypeVar("K")

MOST = 100
"""Comparisons in single languages: more need many resamples, and little is left of any after correction."""


_HOW = (
    "Differences on the same test examples and seeds, each with its interval of 95 %. p is the chance of so "
    "large a difference if there were none, for other seeds and examples; Holm's p takes into account how "
    "many comparisons the table has. Below 0.05 a difference is taken for found."
)


def tests(found: Found) -> Section:
    """Every pair with the reference: at each size, and in each language at the largest."""
    title = "Tests"
    if not found.tested:
        return Section(title, [Text("There are no two lines to compare.")] if found.runs else [])
    blocks: list[Block] = [Text(_HOW)]
    columns = {size: "not tuned" if size is None else f"{size:,} examples" for size in found.sizes}
    over = "over all languages" if len(found.languages) > 1 else "over all test examples"
    title_of = f"{found.study.unit} {over}, {len(found.tested)} comparisons"
    blocks.append(
        _table(found, title_of, columns, {(_pair(found, one), one.size): one for one in found.tested})
    )
    if len(found.languages) > 1:
        its = {(_pair(found, one), one.found.language): one for one in _by_language(found)}
        title_of = f"{found.study.unit} by language{at_size(found.largest)}, {len(its)} comparisons"
        blocks.append(_table(found, title_of, {name: named(name) for name in found.languages}, its))
        if len(found.languages) * len(found.pairs(found.largest)) > MOST:
            blocks.append(
                Text(f"More than {MOST} would be there: these are with the best of each kind alone.")
            )
    return Section(title, blocks)


def _by_language(found: Found) -> list[Tested]:
    """All pairs at the largest size in each language; or, of too many, those with the best of each kind."""
    size = found.largest
    pairs = [(one, other, size) for one, other in found.pairs(size)]
    if len(pairs) * len(found.languages) > MOST:
        pairs = [(test.one, test.other, size) for test in rivals(found, size).values()]
    return found.test(pairs, {name: Score((name,)) for name in found.languages})


def gap(test: Tested) -> str:
    """A difference with its interval."""
    one = test.found.difference
    return f"{one.value:+.1f}\n({one.low:+.1f} to {one.high:+.1f})"


def chances(test: Tested) -> str:
    """Both p values, one below the other."""
    return f"{_chance(test.found.p)}\n{_chance(test.found.adjusted)}"


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _pair(found: Found, test: Tested) -> str:
    return test.other.label if len(found.references) == 1 else f"{test.one.label} less {test.other.label}"


def _table(
    found: Found, title: str, columns: Mapping[K, str], tested: Mapping[tuple[str, K], Tested]
) -> Table:
    """A row a pair, a column a size or language."""
    head = f"{found.references[0].label} less" if len(found.references) == 1 else "compared"
    pairs = dict.fromkeys(pair for pair, _ in tested)
    rows = [[pair, *(_cell(tested.get((pair, column))) for column in columns)] for pair in pairs]
    return Table([head, *columns.values()], rows, len(columns), title)


def _cell(test: Tested | None) -> str:
    if test is None:
        return ABSENT
    return f"{gap(test)}\np {_chance(test.found.p)}, Holm {_chance(test.found.adjusted)}"
