"""How many examples one paradigm needs to reach another, from fitted curves.

The curve is limit - drop * (n / smallest) ** -rate: it rises with n, less and less, towards a limit no higher
than the best possible score. It is fitted by least squares; every draw of the scores gets a curve of its own,
and what is solved for is solved on each. Nothing is read off a curve beyond the sizes that were measured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fiat_jax.errors import ConfigError
from fiat_jax.study.statistics.cells import Runs, Score
from fiat_jax.study.statistics.draws import RESAMPLES, draw
from fiat_jax.study.statistics.estimates import ends

_RATES = np.geomspace(0.02, 4.0, 80)


@dataclass(frozen=True, eq=False)
class Curve:
    """D fitted curves.

    Attributes:
      limit, drop, rate: [D], of limit - drop * (n / smallest) ** -rate; drop is never negative.
      smallest: the least number of examples that was measured.
    """

    limit: np.ndarray
    drop: np.ndarray
    rate: np.ndarray
    smallest: int

    def at(self, examples: float) -> np.ndarray:
        """[D] scores with so many training examples."""
        return self.limit - self.drop * (examples / self.smallest) ** -self.rate

    def reaches(self, scores: np.ndarray) -> np.ndarray:
        """[D], how many examples each curve needs to reach its score; infinity where it never does."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            times = (self.drop / (self.limit - scores)) ** (1 / self.rate)
        return np.where(self.limit > scores, self.smallest * times, np.inf)


def fit(sizes: Sequence[int], scores: np.ndarray, top: float) -> Curve:
    """Fits a curve to each row of scores.

    Args:
      sizes: [K], rising.
      scores: [D, K].
      top: the best possible score, which no limit is above.
    """
    best = np.full(len(scores), np.inf)
    limit, drop, rate = (np.zeros(len(scores)) for _ in range(3))
    mean = scores.mean(1)
    for one in _RATES:
        x = (np.array(sizes) / sizes[0]) ** -one
        apart = x - x.mean()
        fall = np.maximum(0.0, -(scores @ apart) / (apart @ apart))
        ends = mean + fall * x.mean()
        fall = np.where(ends > top, np.maximum(0.0, (top - scores) @ x / (x @ x)), fall)
        ends = np.minimum(ends, top)
        misses = ((ends[:, None] - fall[:, None] * x - scores) ** 2).sum(1)
        better = misses < best
        best = np.where(better, misses, best)
        limit, drop = np.where(better, ends, limit), np.where(better, fall, drop)
        rate = np.where(better, one, rate)
    return Curve(limit, drop, rate, sizes[0])


@dataclass(frozen=True)
class Needed:
    """How many examples a paradigm needs to reach another.

    Numbers of examples are infinite beyond the largest size that was measured, and 0 below the smallest.

    Attributes:
      paradigm: the one with the curve.
      goal, goal_regime: what is reached, such as 'FIAT' and 300.
      score: of the goal.
      examples, low, high: how many are needed, and the interval.
      sizes: which were measured.
      misses: the most by which the curve misses a measured mean.
      test_examples, seeds, left_out: as of `Estimate`.
    """

    paradigm: str
    goal: str
    goal_regime: int | None
    score: float
    examples: float
    low: float
    high: float
    sizes: tuple[int, ...]
    misses: float
    test_examples: int
    seeds: int
    left_out: int


def needed(
    runs: Sequence[Runs],
    goal: Runs,
    score: Score = Score(),
    top: float = 100.0,
    resamples: int = RESAMPLES,
    random_seed: int = 0,
) -> Needed:
    """How many training examples a paradigm needs to score as another run does.

    Args:
      runs: a paradigm at three regimes or more.
      goal: what is reached, such as FIAT at 300, on the same test examples.
      score: what is made of the scores of examples.
      top: the best possible score.
      resamples, random_seed: of the draws.

    Raises:
      ConfigError: there are fewer than three regimes, or of several paradigms; as `draw`.
      DataError: as `draw`.
    """
    runs, sizes = _by_size(runs)
    draws = draw([*runs, goal], score, resamples, random_seed)
    measured = draws.measured.mean(0)
    curve = fit(sizes, measured[None, :-1], top)
    each = fit(sizes, draws.drawn[:, :-1], top).reaches(draws.drawn[:, -1])
    low, high = ends(_within(each, sizes))
    return Needed(
        paradigm=runs[0].paradigm,
        goal=goal.paradigm,
        goal_regime=goal.regime,
        score=float(measured[-1]),
        examples=float(_within(curve.reaches(measured[-1:]), sizes)[0]),
        low=low,
        high=high,
        sizes=tuple(sizes),
        misses=max(abs(float(curve.at(size)[0] - measured[at])) for at, size in enumerate(sizes)),
        test_examples=draws.examples,
        seeds=draws.seeds,
        left_out=draws.left_out,
    )


def learning_curve(
    runs: Sequence[Runs],
    score: Score = Score(),
    top: float = 100.0,
    points: int = 40,
    resamples: int = RESAMPLES,
    random_seed: int = 0,
) -> list[tuple[float, float, float, float]]:
    """The fitted curve of a paradigm with its interval: (examples, score, low, high), over what was measured.

    Args, Raises: as `needed`; `points` is how many, evenly apart in the logarithm.
    """
    runs, sizes = _by_size(runs)
    draws = draw(runs, score, resamples, random_seed)
    curve, curves = fit(sizes, draws.measured.mean(0)[None], top), fit(sizes, draws.drawn, top)
    rows = []
    for size in map(float, np.geomspace(sizes[0], sizes[-1], points)):
        rows.append((size, float(curve.at(size)[0]), *ends(curves.at(size))))
    return rows


def _by_size(runs: Sequence[Runs]) -> tuple[list[Runs], list[int]]:
    by_size = {one.regime: one for one in runs if one.regime}
    paradigms = {one.paradigm for one in runs}
    if len(by_size) < max(3, len(runs)) or len(paradigms) > 1:
        raise ConfigError(
            "runs: expected one paradigm at three or more numbers of training examples, "
            f"found {', '.join(one.name for one in runs) or 'none'}."
        )
    sizes = sorted(size for size in by_size if size)
    return [by_size[size] for size in sizes], sizes


def _within(examples: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Infinity beyond the largest size, 0 below the smallest."""
    return np.where(examples > sizes[-1], math.inf, np.where(examples < sizes[0], 0.0, examples))
