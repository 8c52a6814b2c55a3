"""A score with its interval, and its spread over seeds."""

from dataclasses import dataclass

import numpy as np

from fiat_jax.study.statistics.cells import Runs, Score
from fiat_jax.study.statistics.draws import RESAMPLES, Draws, draw

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A score, or a difference of two, with its interval.

    With two seeds or more the interval is about another choice of test examples of the same kind and about
    other seeds. With one seed it is about this one tuned model on other examples, and says nothing of another
    seed. It never covers another data set, base, learning rate or prompt, nor languages that are not there.

    Attributes:
      value: the mean over seeds.
      low, high: the interval of 95 %.
      sd: standard deviation over seeds; None for fewer than two.
      least, most: of single seeds.
      examples: how many are scored.
      seeds: how many runs; 0 where nothing is random.
      left_out: seeds that only one side of a comparison has.
    """

    value: float
    low: float
    high: float
    sd: float | None
    least: float
    most: float
    examples: int
    seeds: int
    left_out: int = 0

    def text(self, digits: int = 1) -> str:
        """Such as '83.4 (79.5 to 86.8, n = 400, 3 seeds)'."""
        return f"{self.value:.{digits}f} ({self.facts(digits)})"

    def facts(self, digits: int = 1) -> str:
        """Such as '79.5 to 86.8, n = 400, 3 seeds'."""
        counts = f"n = {self.examples:,}, {seeds_text(self.seeds, self.left_out)}"
        return f"{self.low:.{digits}f} to {self.high:.{digits}f}, {counts}"


def seeds_text(seeds: int, left_out: int) -> str:
    """How many seeds there are, and whether an interval is about others."""
    if seeds == 0:
        return "nothing random"
    words = "1 seed, others not covered" if seeds == 1 else f"{seeds} seeds"
    return f"{words}, {left_out} of one side only left out" if left_out else words


def estimate(
    runs: Runs, score: Score = Score(), resamples: int = RESAMPLES, random_seed: int = 0
) -> Estimate:
    """The score of a paradigm at a regime.

    Args:
      runs: all its seeds.
      score: what is made of the scores of examples.
      resamples, random_seed: of the draws.

    Raises:
      DataError, ConfigError: as `draw`.
    """
    return mixed(draw([runs], score, resamples, random_seed), np.ones(1))


def mixed(draws: Draws, weights: np.ndarray, level: float = LEVEL) -> Estimate:
    """The estimate of a linear mix of the scores of runs, such as a difference.

    Args:
      draws: of K runs.
      weights: [K], such as (1, -1).
      level: of the interval.
    """
    of_seeds, drawn = draws.measured @ weights, draws.drawn @ weights
    low, high = ends(drawn, level)
    return Estimate(
        value=float(of_seeds.mean()),
        low=low,
        high=high,
        sd=float(of_seeds.std(ddof=1)) if draws.seeds > 1 else None,
        least=float(of_seeds.min()),
        most=float(of_seeds.max()),
        examples=draws.examples,
        seeds=draws.seeds,
        left_out=draws.left_out,
    )


def ends(drawn: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The interval of draws: what lies between equal tails. They may be infinite."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)
