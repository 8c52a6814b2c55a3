"""What a sweep has found: the scores of its lines, and what is tested between them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from fiat_jax.study.charts import Look, looks_of
from fiat_jax.study.comparing.report.line import Line, lines_of
from fiat_jax.study.comparing.results import Comparison, Result, Study
from fiat_jax.study.statistics import (
    RESAMPLES,
    Cell,
    Draws,
    Estimate,
    Runs,
    Score,
    compare_all,
    draw,
    gather,
    least,
    mixed,
)
from fiat_jax.study.statistics import Comparison as Compared

K = TypeVar("K")

FIAT = "fiat"
ABSENT = "not run"


@dataclass(frozen=True)
class Tested:
    """One line against another at a size, as one of a family."""

    one: Line
    other: Line
    size: int | None
    found: Compared


class Found:
    """What a sweep has found.

    Args:
      comparison: what it left.
      resamples: of every interval and test; families of many comparisons take more.
    """

    def __init__(self, comparison: Comparison, resamples: int = RESAMPLES) -> None:
        self.study: Study = comparison.study
        self.failed = comparison.failed
        self.resamples = resamples
        lines = lines_of(self.study, comparison.results)
        self.lines: tuple[Line, ...] = tuple(dict.fromkeys(line for line, _ in lines))
        self.results: dict[tuple[Line, int | None], list[Result]] = {}
        for line, result in lines:
            self.results.setdefault((line, result.size), []).append(result)
        self.counts = {name: self.study.languages.count(name) for name in dict.fromkeys(self.study.languages)}
        self.languages = tuple(name for name, count in self.counts.items() if count > 1)
        wanted = self.study.mean_of or tuple(self.counts)
        self.left_out = tuple(name for name in wanted if name not in self.languages)
        self.score = Score(tuple(name for name in wanted if name in self.languages))

    @property
    def unit(self) -> str:
        """What sentences call points of the score."""
        return self.study.unit if self.study.unit == "F1" else f"points of {self.study.unit}"

    @cached_property
    def runs(self) -> dict[tuple[Line, int | None], Runs]:
        """What can be estimated: nothing where no language that counts has two examples."""
        if not (self.results and self.score.languages):
            return {}
        by_label = {line.label: line for line in self.lines}
        cells = [
            Cell(line.label, size, one.seed, self.study.ids, self.study.languages, one.scores)
            for (line, size), results in self.results.items()
            for one in results
        ]
        return {(by_label[label], size): runs for (label, size), runs in gather(cells).items()}

    @cached_property
    def sizes(self) -> tuple[int | None, ...]:
        """Where something was tuned, ascending; (None,) where nothing was."""
        sizes = sorted({size for _, size in self.runs if size is not None})
        return tuple(sizes) or (None,)

    @cached_property
    def estimates(self) -> dict[tuple[Line, int | None], Estimate]:
        """Of each line at each size."""
        return estimated(self.runs, self.score, self.resamples)

    def at(self, size: int | None) -> list[Line]:
        """The lines that have a score at a size, what is not tuned among them."""
        return [line for line in self.lines if self.place(line, size) in self.runs]

    def place(self, line: Line, size: int | None) -> tuple[Line, int | None]:
        """Where the runs of a line are that stand beside a size, if there are any."""
        return (line, None) if (line, None) in self.runs else (line, size)

    def estimate(self, line: Line, size: int | None) -> Estimate | None:
        """The score of a line that stands beside a size."""
        return self.estimates.get(self.place(line, size))

    def best(self, lines: Iterable[Line], size: int | None) -> Line | None:
        """That with the highest mean of those that have a score."""
        there = [(one.value, line) for line in lines if (one := self.estimate(line, size))]
        return max(there, key=lambda one: one[0])[1] if there else None

    @cached_property
    def references(self) -> tuple[Line, ...]:
        """What all is compared with: FIAT, or the best at the largest size where FIAT has not run."""
        scored = {line for line, _ in self.runs}
        fiat = tuple(line for line in self.lines if line.paradigm == FIAT and line in scored)
        best = self.best(self.lines, self.sizes[-1])
        return fiat or ((best,) if best else ())

    @property
    def largest(self) -> int | None:
        """The largest size at which some reference has run: what most of the report is about."""
        return self._ends[1]

    @property
    def smallest(self) -> int | None:
        """The smallest such size."""
        return self._ends[0]

    @cached_property
    def _ends(self) -> tuple[int | None, int | None]:
        its = [size for size in self.sizes if set(self.references) & set(self.at(size))]
        return its[0], its[-1]

    @cached_property
    def looks(self) -> dict[str, Look]:
        """How each line is drawn in all pictures, by label."""
        rest = [line for line in self.lines if line not in self.references]
        return looks_of(line.label for line in [*self.references, *rest])

    def pairs(self, size: int | None) -> list[tuple[Line, Line]]:
        """What is compared at a size: each reference with all that fits it and has a seed in common."""
        there = self.at(size)
        first = [line for line in self.references if line in there]
        return [
            (one, other)
            for at, one in enumerate(first)
            for other in there
            if other not in first[: at + 1]
            and (one.fits(other) or other in first)
            and self.share_seeds(one, other, size)
        ]

    def share_seeds(self, one: Line, other: Line, size: int | None) -> bool:
        """Whether two lines that have run can be compared seed by seed."""
        ours, theirs = (set(self.runs[self.place(line, size)].seeds) for line in (one, other))
        return {None} in (ours, theirs) or bool(ours & theirs)

    @cached_property
    def tested(self) -> list[Tested]:
        """All pairs at all sizes by the overall score, as one family."""
        pairs = [(one, other, size) for size in self.sizes for one, other in self.pairs(size)]
        return self.test(pairs, {"": self.score})

    def test(self, pairs: list[tuple[Line, Line, int | None]], scores: Mapping[str, Score]) -> list[Tested]:
        """Tests pairs as one family, with as many resamples as so many need."""
        if not (pairs and scores):
            return []
        runs = [
            (self.runs[self.place(one, size)], self.runs[self.place(other, size)])
            for one, other, size in pairs
        ]
        found = compare_all(runs, scores, max(self.resamples, least(len(pairs) * len(scores))))
        of_each = [pair for pair in pairs for _ in scores]
        return [Tested(*pair, one) for pair, one in zip(of_each, found, strict=True)]


def estimated(runs: Mapping[K, Runs], score: Score, resamples: int) -> dict[K, Estimate]:
    """The scores of runs, drawn together where they have the same seeds."""
    found: dict[K, Estimate] = {}
    for seeds in dict.fromkeys(one.seeds for one in runs.values()):
        keys = [key for key, one in runs.items() if one.seeds == seeds]
        draws: Draws = draw([runs[key] for key in keys], score, resamples)
        found |= {key: mixed(draws, unit) for key, unit in zip(keys, np.eye(len(keys)), strict=True)}
    return {key: found[key] for key in runs}


def named(language: str) -> str:
    """A language as tables call it."""
    return language or "no language"


def interval(one: Estimate) -> tuple[float, float, float]:
    """An estimate as pictures take it."""
    return one.value, one.low, one.high


def at_size(size: int | None) -> str:
    """Such as ' at 800 training examples'; nothing for what is not tuned."""
    return "" if size is None else f" at {size:,} training examples"
