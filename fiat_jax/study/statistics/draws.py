"""Where the scores of runs could lie, for other test examples and other seeds.

A score has two sources of chance, the examples it is measured on and the seeds it was tuned with. Each draw
moves the measured score by both:

- examples: they are resampled within each language, the same ones for all runs and seeds, so that what is
  compared stays in pairs. What the mean over seeds then moves by, times sqrt(n / (n - 1)), since a resample
  of n examples varies that much too little.
- seeds: a bootstrap of a few seeds is too narrow (of two, half of the resamples have one twice). Instead
  the deviations of the S seeds are mixed by normal numbers, and divided by the root of a chi-square over its
  degrees of freedom: for each score, and for each difference or other linear mix of scores, that is Student's
  t on S - 1 degrees of freedom times its standard error.

The quantiles of such a sum are the Behrens-Fisher interval, which covers at least as often as it says when
scores are near normal (Robinson 1976, Properties of Student's t and of the Behrens-Fisher solution to the
two means problem, Annals of Statistics 4). The chance in one example under one seed is in both parts, so the
interval is a little wide rather than narrow.

With one seed the second part cannot be known: draws are then about this tuned model on other examples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fiat_jax.errors import DataError
from fiat_jax.study.statistics.cells import Metric, Runs, Score

RESAMPLES = 10_000
_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Draws:
    """Scores of K runs, and where they could lie.

    Attributes:
      measured: [S, K] of each seed.
      drawn: [D, K].
      examples: how many are scored.
      seeds: how many seeds all runs have; 0 where nothing is random.
      left_out: how many seeds only some have.
    """

    measured: np.ndarray
    drawn: np.ndarray
    examples: int
    seeds: int
    left_out: int


def draw(
    runs: Sequence[Runs], score: Score = Score(), resamples: int = RESAMPLES, random_seed: int = 0
) -> Draws:
    """Draws the scores of runs on the same examples, all together, with the seeds that all of them have.

    Args:
      runs: K of them; those without a seed go with every seed of the others.
      score: what is made of the scores of examples.
      resamples: how many draws.
      random_seed: of the draws.

    Raises:
      DataError: they are not on the same examples, have no seed in common, or the metric is not defined on
        some resample.
      ConfigError: as `Score.rows`.
    """
    values, seeds, left_out = aligned(runs)
    groups = score.rows(runs[0].languages)
    measured = np.mean([_score(values, rows, score.metric) for rows in groups], axis=0)  # [S, K]
    random = np.random.default_rng(random_seed)
    drawn = measured.mean(0) + _by_seeds(measured, resamples, random)
    for rows in groups:
        moved = _by_examples(values, rows, score.metric, resamples, random)
        drawn += moved * np.sqrt(len(rows) / (len(rows) - 1)) / len(groups)
    return Draws(measured, drawn, sum(map(len, groups)), seeds, left_out)


def aligned(runs: Sequence[Runs]) -> tuple[np.ndarray, int, int]:
    """Scores [S, K, N] of K runs with the seeds that all have; how many those are, and how many are left out.

    Raises:
      DataError: they are not on the same examples, or have no seed in common.
    """
    first = runs[0]
    for other in runs:
        if (other.ids, other.languages) != (first.ids, first.languages):
            raise DataError(f"{other.name}: expected the test examples of {first.name}, found others.")
    seeded = [one for one in runs if one.seeds != (None,)]
    if not seeded:
        return np.stack([one.scores for one in runs], axis=1), 0, 0
    every = set().union(*(one.seeds for one in seeded))
    common = [seed for seed in seeded[0].seeds if all(seed in one.seeds for one in seeded)]
    if not common:
        found = "; ".join(f"{one.name}: {', '.join(map(str, one.seeds))}" for one in seeded)
        raise DataError(f"seeds: expected one at least that all runs have, found none ({found}).")

    def rows(one: Runs) -> list[int]:
        return [one.seeds.index(seed) if one in seeded else 0 for seed in common]

    scores = np.stack([one.scores[rows(one)] for one in runs], axis=1)
    return scores, len(common), len(every) - len(common)


def _score(values: np.ndarray, rows: np.ndarray, metric: Metric | None) -> np.ndarray:
    """[S, K] of [S, K, N] on some rows."""
    if metric is None:
        return values[..., rows].mean(-1)
    scores = np.array([[metric(run[rows], rows) for run in seed] for seed in values], float)
    if not np.isfinite(scores).all():
        raise DataError(
            f"metric: expected a finite number on every resample of {len(rows)} examples, found "
            f"{scores[~np.isfinite(scores)][0]}; let it say what counts where a label does not occur."
        )
    return scores


def _by_seeds(measured: np.ndarray, resamples: int, random: np.random.Generator) -> np.ndarray:
    """[D, K] by which other seeds would move the mean over seeds."""
    seeds = len(measured)
    if seeds < 2:
        return np.zeros((resamples, measured.shape[1]))
    apart = (measured - measured.mean(0)) / np.sqrt(seeds * (seeds - 1))
    sure = np.sqrt(random.chisquare(seeds - 1, (resamples, 1)) / (seeds - 1))
    return random.standard_normal((resamples, seeds)) @ apart / sure


def _by_examples(
    values: np.ndarray, rows: np.ndarray, metric: Metric | None, resamples: int, random: np.random.Generator
) -> np.ndarray:
    """[D, K] by which other examples of one language would move the mean over seeds."""
    parts, size = [], len(rows)
    for start in range(0, resamples, step := max(1, _AT_ONCE // size)):
        count = min(step, resamples - start)
        picks = random.integers(0, size, (count, size))
        if metric is None:
            times = np.bincount((picks + size * np.arange(count)[:, None]).ravel(), minlength=count * size)
            parts.append(times.reshape(count, size) @ values[..., rows].mean(0).T / size)
        else:
            parts.append(np.array([_score(values, rows[pick], metric).mean(0) for pick in picks]))
    return np.concatenate(parts) - _score(values, rows, metric).mean(0)
