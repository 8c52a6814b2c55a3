"""Paradigms against each other on the same examples; many comparisons corrected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fiat_jax.errors import ConfigError
from fiat_jax.study.statistics.cells import Runs, Score
from fiat_jax.study.statistics.draws import RESAMPLES, aligned, draw
from fiat_jax.study.statistics.estimates import LEVEL, Estimate, mixed

_DIFFERENCE = np.array([1.0, -1.0])
_AT_ONCE = 1 << 22
_IN_A_TAIL = 5
_ALIKE = 1e-9  # two sums of the same numbers in another order


@dataclass(frozen=True)
class Comparison:
    """One paradigm against another, one of a family of comparisons.

    Attributes:
      one, other: their names; regimes: of both.
      language: of the score; '' for the mean over languages.
      difference: one less other, with the interval of this comparison alone.
      joint_low, joint_high: the interval that holds together with those of the whole family (Bonferroni's).
      p: of no difference, for other seeds and examples; below 0.05 where the interval holds no zero.
      p_models: of these tuned models being equally good, for other examples, by exchanging their scores.
      adjusted, adjusted_models: both after Holm's correction over the family.
      family: how many comparisons it has.
    """

    one: str
    other: str
    regimes: tuple[int | None, int | None]
    language: str
    difference: Estimate
    joint_low: float
    joint_high: float
    p: float
    p_models: float
    adjusted: float
    adjusted_models: float
    family: int


def compare(
    one: Runs, other: Runs, score: Score = Score(), resamples: int = RESAMPLES, random_seed: int = 0
) -> Comparison:
    """Compares two paradigms once; see `compare_all`."""
    return compare_all([(one, other)], {"": score}, resamples=resamples, random_seed=random_seed)[0]


def compare_all(
    pairs: Sequence[tuple[Runs, Runs]],
    scores: Mapping[str, Score],
    resamples: int = RESAMPLES,
    random_seed: int = 0,
) -> list[Comparison]:
    """Compares pairs of paradigms by several scores: all of it is one family.

    Adjusted are the p values, over every pair and score given here and no others; p values of one kind are
    adjusted together. The chance that any true "no difference" of the family is rejected at 0.05 is at most
    0.05. Holm's adjusted p values can be below 0.05 where the wider joint interval still holds zero.

    Args:
      pairs: each with the seeds that both have, in pairs.
      scores: by language, as `per_language` gives them.
      resamples, random_seed: of the draws.

    Raises:
      ConfigError: there are too few resamples for so large a family; as `draw`.
      DataError: as `draw`.
    """
    family = len(pairs) * len(scores)
    if resamples < least(family):
        raise ConfigError(
            f"resamples: expected {least(family):,} or more for {family} comparisons, found {resamples:,}."
        )
    keys = [(one, other, language) for one, other in pairs for language in scores]
    drawn = [draw([one, other], scores[language], resamples, random_seed) for one, other, language in keys]
    p = [both_sides(draws.drawn[:, 0] - draws.drawn[:, 1]) for draws in drawn]
    p_models = [
        exchanged(one, other, scores[language], resamples, random_seed) for one, other, language in keys
    ]
    adjusted, adjusted_models = holm(p), holm(p_models)
    found = []
    for at, (one, other, language) in enumerate(keys):
        joint = mixed(drawn[at], _DIFFERENCE, 1 - (1 - LEVEL) / family)
        found.append(
            Comparison(
                one=one.paradigm,
                other=other.paradigm,
                regimes=(one.regime, other.regime),
                language=language,
                difference=mixed(drawn[at], _DIFFERENCE),
                joint_low=joint.low,
                joint_high=joint.high,
                p=p[at],
                p_models=p_models[at],
                adjusted=adjusted[at],
                adjusted_models=adjusted_models[at],
                family=family,
            )
        )
    return found


def least(family: int) -> int:
    """How many resamples so many comparisons need at least."""
    return int(np.ceil(round(2 * _IN_A_TAIL * family / (1 - LEVEL), 6)))


def both_sides(drawn: np.ndarray) -> float:
    """The p value of zero: one less the level of the widest interval of draws that does not hold it."""
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (1 + tail) / (1 + len(drawn)))


def exchanged(one: Runs, other: Runs, score: Score, resamples: int, random_seed: int) -> float:
    """The p value of two sides being alike, by exchanging them on random examples, for all seeds at once.

    Seeds are taken as they are: it is about these tuned models. Where the score is a mean this is the
    sign-flip test on the examples' differences, averaged over seeds.
    """
    values, _, _ = aligned([one, other])
    groups = score.rows(one.languages)
    random = np.random.default_rng(random_seed)
    if score.metric is None:
        weights = np.zeros(values.shape[-1])
        for rows in groups:
            weights[rows] += 1 / len(rows)
        parts = weights * (values[:, 0] - values[:, 1]).mean(0)
        found = parts.sum()
        drawn = _signed(parts[parts != 0], resamples, random)
    else:
        found = _difference(values, groups, score)
        drawn = np.array([_exchange(values, groups, score, random) for _ in range(resamples)])
    as_far = int((abs(drawn) >= abs(found) - _ALIKE * max(1.0, abs(found))).sum())
    return (1 + as_far) / (1 + resamples)


def _signed(parts: np.ndarray, resamples: int, random: np.random.Generator) -> np.ndarray:
    """[D] sums of parts with random signs."""
    step = max(1, _AT_ONCE // max(1, len(parts)))
    counts = [min(step, resamples - start) for start in range(0, resamples, step)]
    return np.concatenate(
        [(2.0 * random.integers(0, 2, (n, len(parts)), np.int8) - 1) @ parts for n in counts]
    )


def _exchange(
    values: np.ndarray, groups: list[np.ndarray], score: Score, random: np.random.Generator
) -> float:
    swap = random.integers(0, 2, values.shape[-1], bool)
    return _difference(np.where(swap, values[:, ::-1], values), groups, score)


def _difference(values: np.ndarray, groups: list[np.ndarray], score: Score) -> float:
    """Of a metric, the mean over languages and seeds of [S, 2, N]."""
    assert score.metric is not None
    sides = [[score.metric(side[rows], rows) for side in seed] for seed in values for rows in groups]
    one, other = np.mean(sides, axis=0)
    return float(one - other)


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p values of a family, in its order.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    adjusted, least = [0.0] * len(p), 0.0
    for rank, at in enumerate(sorted(range(len(p)), key=lambda at: p[at])):
        least = max(least, min(1.0, (len(p) - rank) * p[at]))
        adjusted[at] = least
    return adjusted
