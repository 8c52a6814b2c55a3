"""Which lines FIAT is held against in the verdict."""

from collections.abc import Callable, Iterable
from functools import lru_cache

from fiat_jax.study.comparing.report.explained import by_reasoner, learns, without_rationale
from fiat_jax.study.comparing.report.found import Found, Tested
from fiat_jax.study.comparing.report.line import Line

KINDS: dict[str, Callable[[str], bool]] = {
    "prompting": by_reasoner,
    "fine-tuning": lambda name: without_rationale(name) and learns(name) == "base",
    "adapter without rationale": lambda name: without_rationale(name) and learns(name) == "adapter",
}
"""By what they are called: whether a paradigm is of the kind."""


def reference(found: Found, size: int | None) -> Line | None:
    """The best of what all is compared with, at a size."""
    return found.best(found.references, size)


def best_of(
    found: Found, one: Line, kind: str, size: int | None, among: Iterable[Line] | None = None
) -> Line | None:
    """The best line of a kind that is not the one, fits it and has run at a size; of all, or among some."""
    lines = found.lines if among is None else among
    its = [line for line in lines if KINDS[kind](line.paradigm) and line != one and one.fits(line)]
    return found.best(its, size)


@lru_cache(maxsize=4)
def family(found: Found) -> list[Tested]:
    """What the verdict tests: the reference against all lines of all kinds at both ends of the sizes.

    All of them, since the best of each kind is chosen after the fact.
    """
    pairs = []
    for size in dict.fromkeys((found.largest, found.smallest)):
        one = reference(found, size)
        pairs += [
            (first, other, size)
            for first, other in found.pairs(size)
            if first == one and any(its(other.paradigm) for its in KINDS.values())
        ]
    return found.test(pairs, {"": found.score})


def rivals(found: Found, size: int | None) -> dict[str, Tested]:
    """The comparisons of the reference with the best of each kind at a size, where there is one."""
    one = reference(found, size)
    if one is None:
        return {}
    tested = {test.other: test for test in family(found) if test.size == size}
    best = {kind: best_of(found, one, kind, size, tested) for kind in KINDS}
    return {kind: tested[line] for kind, line in best.items() if line}


def outcome(test: Tested) -> str:
    """'better', 'worse', 'open' where it may be chance, or 'alike' where no difference was found."""
    gap = test.found.difference
    if gap.low <= 0 <= gap.high:
        return "alike"
    if test.found.family > 1 and test.found.adjusted >= 0.05:
        return "open"
    return "better" if gap.value > 0 else "worse"
