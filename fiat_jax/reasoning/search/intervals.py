"""Whether one prompt is better than another, by the same examples under both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fiat_jax.intervals import bootstrap


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
    """
    n = len(start)
    differences = np.subtract(best, start)
    low, high = bootstrap(lambda counts: counts[0] @ differences / n, [n], seed)
    return Difference(sum(start) / n, sum(best) / n, float(low), float(high), n)
