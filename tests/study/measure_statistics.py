"""Measures how often intervals hold the truth, and tests are wrong, on scores that are simulated.

    python tests/study/measure_statistics.py [REPEATS]

prints the tables of docs/statistics.md, with 400 repeats where none are given.
"""

import sys

import numpy as np
from simulated_scores import Learning, World

from fiat_jax.study.statistics import Runs, Score, compare, compare_all, estimate, needed

REPEATS, RESAMPLES, FAMILY = 400, 1000, 10

WORLDS = [
    *(World(seeds=seeds, by_seed=by_seed) for seeds in (1, 2, 3, 5) for by_seed in (0.0, 0.3)),
    World(by_seed=0.1),
    *(World(by_seed=by_seed, kind="em") for by_seed in (0.0, 0.3)),
]
HARD = [World(seeds=seeds, examples=25, level=level) for seeds in (1, 3) for level in (0.25, 5.0)]
POWERS = [World(by_seed=0.05, gap=gap) for gap in (0.0, 0.15, 0.3, 0.6)]
FAMILIES = [World(languages=1, by_seed=by_seed) for by_seed in (0.0, 0.1)]
LEARNINGS = [Learning(seeds=seeds, goal=goal) for seeds in (2, 3, 5) for goal in (65.0, 78.0)]


def measure(world: World, repeats: int, resamples: int = RESAMPLES) -> dict[str, float]:
    """Shares of repeats.

    Returns:
      covered, of the score of 'one', width the median of the interval; two_level, covered by the bootstrap of
      seeds and examples; difference, covered of the difference; found and found_models, p below 0.05, for
      other seeds and for these models.
    """
    random, truth = np.random.default_rng(1), world.truth()
    rows = []
    for at in range(repeats):
        one, other = world.runs(random)
        alone, both = (
            estimate(one, resamples=resamples, random_seed=at),
            compare(one, other, resamples=resamples, random_seed=at),
        )
        low, high = two_level(one, resamples, random)
        rows.append(
            {
                "covered": alone.low <= truth[0] <= alone.high,
                "two_level": low <= truth[0] <= high,
                "difference": both.difference.low <= truth[0] - truth[1] <= both.difference.high,
                "found": both.p < 0.05,
                "found_models": both.p_models < 0.05,
                "width": alone.high - alone.low,
            }
        )
    shares = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return shares | {"width": float(np.median([row["width"] for row in rows]))}


def two_level(runs: Runs, resamples: int, random: np.random.Generator) -> tuple[float, float]:
    """What is not used, because it covers too little: the percentiles of seeds and examples resampled."""
    groups = Score().rows(runs.languages)
    by_seed = np.zeros((resamples, len(runs.seeds)))
    for rows in groups:
        size = len(rows)
        picks = random.integers(0, size, (resamples, size)) + size * np.arange(resamples)[:, None]
        times = np.bincount(picks.ravel(), minlength=resamples * size).reshape(resamples, size)
        by_seed += times.astype(float) @ runs.scores[:, rows].T / size / len(groups)
    seeds = random.integers(0, len(runs.seeds), by_seed.shape)
    low, high = np.quantile(np.take_along_axis(by_seed, seeds, axis=1).mean(1), [0.025, 0.975])
    return float(low), float(high)


def measure_family(world: World, pairs: int, repeats: int, resamples: int = 2000) -> dict[str, float]:
    """Shares of families without any difference in which one is found: by p as it is, by Holm's, jointly."""
    random = np.random.default_rng(2)
    found = []
    for at in range(repeats):
        several = [world.runs(random) for _ in range(pairs)]
        family = compare_all(several, {"": Score()}, resamples=resamples, random_seed=at)
        found.append(
            (
                any(one.p < 0.05 for one in family),
                any(one.adjusted < 0.05 for one in family),
                any(not one.joint_low <= 0 <= one.joint_high for one in family),
                any(one.p_models < 0.05 for one in family),
                any(one.adjusted_models < 0.05 for one in family),
            )
        )
    names = ("p", "holm", "joint", "p_models", "holm_models")
    return dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))


def measure_needed(learning: Learning, repeats: int, resamples: int = RESAMPLES) -> dict[str, float]:
    """Shares of repeats whose interval holds the true number; of a number beyond the sizes, 'beyond' does."""
    random, truth = np.random.default_rng(3), learning.truth()
    truth = np.inf if truth > learning.sizes[-1] else truth
    rows = []
    for at in range(repeats):
        runs, goal = learning.runs(random)
        found = needed(runs, goal, resamples=resamples, random_seed=at)
        rows.append((found.low <= truth <= found.high, found.high == np.inf, found.low, found.high))
    covered, open_, low, high = zip(*rows, strict=True)
    return {
        "covered": float(np.mean(covered)),
        "open": float(np.mean(open_)),
        "low": float(np.median(low)),
        "high": float(np.median(high)),
    }


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    table(
        "seeds | sd of seeds | score, examples | interval covers | width | two-level bootstrap covers | "
        "interval of the difference covers | p < 0.05 | p_models < 0.05"
    )
    for world in [*WORLDS, *HARD]:
        found = measure(world, repeats)
        score = f"{world.kind} {world.truth()[0]:.0f}, {world.languages} x {world.examples}"
        width = f"{found.pop('width'):.1f}"
        covered, *others = percent(found)
        table(str(world.seeds), f"{world.seed_sd():.1f}", score, covered, width, *others)
    print()
    table("true difference | p < 0.05 | p_models < 0.05")
    for world in POWERS:
        one, other = world.truth()
        found = measure(world, repeats // 2)
        table(f"{one - other:.1f}", *percent({name: found[name] for name in ("found", "found_models")}))
    print()
    table("sd of seeds | p | Holm | joint interval | p_models | Holm, p_models")
    for world in FAMILIES:
        table(f"{world.seed_sd():.1f}", *percent(measure_family(world, FAMILY, repeats // 4)))
    print()
    table("true number | seeds | interval covers | open above | median low | median high")
    for learning in LEARNINGS:
        found = measure_needed(learning, repeats // 2)
        ends = [f"{found.pop(name):,.0f}" for name in ("low", "high")]
        table(f"{learning.truth():,.0f}", str(learning.seeds), *percent(found), *ends)


def percent(shares: dict[str, float]) -> list[str]:
    return [f"{100 * share:.1f}" for share in shares.values()]


def table(*cells: str) -> None:
    """A row in Markdown; one cell is the head."""
    print(f"| {' | '.join(cells)} |", flush=True)
    if len(cells) == 1:
        print("|" + "---|" * len(cells[0].split("|")), flush=True)


if __name__ == "__main__":
    main()
