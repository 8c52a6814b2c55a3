"""Whether one prompt is better than another, by the same examples under both."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

_DRAWS = 2000


@dataclass(frozen=True)
class Difference:
    """How two prompts compare on some examples.

    Attributes:
      start, best: their mean scores.
      low, high: 95 % of the mean difference, best less start, over resamples of the examples.
      n: how many examples.
    """

    start: float
    best: float
    low: float
    high: float
    n: int

    @property
    def mean(self) -> float:
        """Best less start."""
        return self.best - self.start

    def __str__(self) -> str:
        return (
            f"{self.best:.3f} against {self.start:.3f} of the start, "
            f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}], n = {self.n}"
        )


def compare(start: Sequence[float], best: Sequence[float], seed: int) -> Difference:
    """The paired bootstrap: examples are drawn with replacement, each with both of its scores.

    Args:
      start, best: a score an example, in the same order.
      seed: of the draws.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, the percentile interval.
    """
    n = len(start)
    differences = [after - before for before, after in zip(start, best, strict=True)]
    draw = random.Random(f"{seed} interval")
    means = sorted(sum(draw.choices(differences, k=n)) / n for _ in range(_DRAWS))
    low, high = means[int(0.025 * _DRAWS)], means[int(0.975 * _DRAWS) - 1]
    return Difference(sum(start) / n, sum(best) / n, low, high, n)
