"""How sure a score is: the bootstrap over its examples."""

from collections.abc import Callable, Sequence

import numpy as np

DRAWS = 1000
_TOGETHER = 50  # one by one they take longer, all at once more memory


def bootstrap(
    values: Callable[[Sequence[np.ndarray]], np.ndarray], sizes: Sequence[int], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % percentile intervals of scores, over resamples of their examples.

    Args:
      values: the scores, an array of any shape, where each example counts as often as one array for each
        stratum says, [size] of floats.
      sizes: how many examples each stratum has. A resample draws as many from it, with replacement.
      seed: of the draws.

    Returns:
      The low and the high ends, in the shape of the scores.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, the percentile interval.
    """
    random, found = np.random.default_rng(seed), []
    for _ in range(DRAWS // _TOGETHER):
        strata = [_drawn(random, size) for size in sizes]
        found += [values([stratum[at] for stratum in strata]) for at in range(_TOGETHER)]
    low, high = np.percentile(found, (2.5, 97.5), axis=0)
    return low, high


def _drawn(random: np.random.Generator, size: int) -> np.ndarray:
    """How often each example of a stratum is drawn, in a number of draws: [draws, size] of floats."""
    rows = random.integers(size, size=(_TOGETHER, size)) + size * np.arange(_TOGETHER)[:, None]
    return np.bincount(rows.ravel(), minlength=_TOGETHER * size).reshape(_TOGETHER, size).astype(float)
