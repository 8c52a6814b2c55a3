"""Made-up scores, and worlds where it is known what paradigms score on endless examples and seeds."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from fiat_jax.study.statistics import Cell, Runs, gather

_QUANTILES = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)


def runs(*scores, paradigm="FIAT", regime=300, seeds=None, languages=None):
    """Of a row of scores a seed."""
    seeds = range(len(scores)) if seeds is None else seeds
    ids = [f"q{at}" for at in range(len(scores[0]))]
    languages = languages or [""] * len(ids)
    cells = [
        Cell(paradigm, regime, seed, ids, languages, row) for seed, row in zip(seeds, scores, strict=True)
    ]
    (found,) = gather(cells).values()
    return found


def normal(seed, *shape, mean=50.0, sd=20.0):
    return np.random.default_rng(seed).normal(mean, sd, shape)


@dataclass(frozen=True)
class World:
    """Two paradigms, 'one' and 'other', that answer the same test examples.

    An example's logit is the language's level, plus how easy the example is (shared in part by both
    paradigms), plus what the seed does (to all languages, and to each), plus chance. The score is 100 where
    it is above 0 ('em'), or runs from 0 to 100 over four logits ('f1', with many at both ends).

    Attributes:
      seeds, languages, examples: how many; examples are of each language.
      by_seed: the standard deviation of a seed's logit.
      level: the mean logit; gap: what 'one' has more of it.
      kind: 'f1' or 'em'.
    """

    seeds: int = 3
    languages: int = 4
    examples: int = 100
    by_seed: float = 0.0
    level: float = 0.25
    gap: float = 0.0
    kind: str = "f1"

    def truth(self) -> tuple[float, float]:
        """The scores of both paradigms over endless examples and seeds."""
        spread = np.sqrt(4 + 1 + 1.25 * self.by_seed**2 + 1)
        one, other = (
            np.mean([self._score(level + gap + spread * _QUANTILES).mean() for level in self._levels()])
            for gap in (self.gap, 0.0)
        )
        return float(one), float(other)

    def seed_sd(self) -> float:
        """By how much the scores of seeds differ on the same test examples, in points."""
        one, _ = replace(self, seeds=400).scores(np.random.default_rng(0))
        return float(one.mean((1, 2)).std(ddof=1))

    def scores(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Both paradigms', each [seeds, languages, examples]."""
        easy = random.normal(0, 2, (self.languages, self.examples)) + self._levels()[:, None]
        return self._paradigm(easy + self.gap, random), self._paradigm(easy, random)

    def runs(self, random: np.random.Generator) -> tuple[Runs, Runs]:
        """Both paradigms at 300."""
        names = [f"l{at}" for at in range(self.languages) for _ in range(self.examples)]
        ids = [str(at) for at in range(len(names))]
        cells = [
            Cell(paradigm, 300, seed, ids, names, scores.ravel())
            for paradigm, of_seeds in zip(("one", "other"), self.scores(random), strict=True)
            for seed, scores in enumerate(of_seeds)
        ]
        one, other = gather(cells).values()
        return one, other

    def _levels(self) -> np.ndarray:
        return self.level + np.linspace(-0.75, 0.75, self.languages)

    def _paradigm(self, easy: np.ndarray, random: np.random.Generator) -> np.ndarray:
        own = easy + random.normal(0, 1, easy.shape)
        seeds = random.normal(0, self.by_seed, (self.seeds, 1, 1))
        seeds = seeds + random.normal(0, self.by_seed / 2, (self.seeds, self.languages, 1))
        return self._score(own + seeds + random.normal(0, 1, (self.seeds, *easy.shape)))

    def _score(self, logits: np.ndarray) -> np.ndarray:
        return 100.0 * (logits > 0) if self.kind == "em" else 100 * np.clip((logits + 2) / 4, 0, 1)


@dataclass(frozen=True)
class Learning:
    """A paradigm whose scores rise along limit - drop * (n / 100) ** -rate, and one that stands at `goal`.

    Examples and seeds differ as normal numbers do; a seed keeps half of its luck from size to size.
    """

    sizes: tuple[int, ...] = (100, 300, 1000, 3000)
    limit: float = 80.0
    drop: float = 40.0
    rate: float = 0.5
    goal: float = 65.0
    seeds: int = 3
    examples: int = 200
    by_seed: float = 1.0

    def truth(self) -> float:
        """How many examples reach the goal."""
        return 100 * (self.drop / (self.limit - self.goal)) ** (1 / self.rate)

    def runs(self, random: np.random.Generator) -> tuple[list[Runs], Runs]:
        """The paradigm at each size, and the goal."""
        ids, easy = [str(at) for at in range(self.examples)], random.normal(0, 20, self.examples)
        luck = random.normal(0, self.by_seed, self.seeds)

        def cells(paradigm: str, regime: int, mean: float) -> list[Cell]:
            own = np.sqrt(0.5) * (luck + random.normal(0, self.by_seed, self.seeds))
            chance = random.normal(0, 10, self.examples) + random.normal(0, 10, (self.seeds, self.examples))
            scores = mean + easy + own[:, None] + chance
            return [
                Cell(paradigm, regime, seed, ids, [""] * len(ids), one) for seed, one in enumerate(scores)
            ]

        rising = [
            cell
            for size in self.sizes
            for cell in cells("tuned", size, self.limit - self.drop * (size / 100) ** -self.rate)
        ]
        found = gather([*rising, *cells("goal", 300, self.goal)])
        return [found["tuned", size] for size in self.sizes], found["goal", 300]
