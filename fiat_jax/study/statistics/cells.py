"""The scores of every test example, by paradigm, regime and seed."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fiat_jax.errors import ConfigError, DataError

Metric = Callable[[np.ndarray, np.ndarray], float]
"""(values [n], rows [n]) -> score: of what is known of some test examples, and which examples they are."""


@dataclass(frozen=True, eq=False)
class Cell:
    """The scores of one run: a paradigm at a regime, with one seed.

    Attributes:
      paradigm: as sentences call it, such as 'FIAT'.
      regime: how many training examples; None for what is not tuned.
      seed: of the run; None for what has no seed, such as greedy in-context learning.
      ids, languages: [N] of the test examples; '' is no language.
      scores: [N] of each example; or, where `Score.metric` is no mean of examples, what it is computed from.
    """

    paradigm: str
    regime: int | None
    seed: int | None
    ids: Sequence[str]
    languages: Sequence[str]
    scores: Sequence[float] | np.ndarray

    @property
    def name(self) -> str:
        """Such as 'FIAT at 300, seed 0'."""
        return f"{run_name(self.paradigm, self.regime)}, seed {self.seed}"

    def by_example(self) -> dict[tuple[str, str], float]:
        """The scores by language and id.

        Raises:
          DataError: something is there twice, of unequal length, or no finite number.
        """
        lengths = {"ids": len(self.ids), "languages": len(self.languages), "scores": len(self.scores)}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{self.name}: expected one of each for every example, found {lengths}.")
        found: dict[tuple[str, str], float] = {}
        for id, language, score in zip(self.ids, self.languages, self.scores, strict=True):
            if (language, id) in found:
                raise DataError(f"{self.name}: expected every example once, found {id!r} twice.")
            if not math.isfinite(score):
                raise DataError(f"{self.name}: expected a finite score of {id!r}, found {score}.")
            found[language, id] = float(score)
        return found


@dataclass(frozen=True, eq=False)
class Runs:
    """All seeds of a paradigm at a regime, on the same N test examples.

    Attributes:
      paradigm, regime: as of `Cell`.
      seeds: [S] of the runs; (None,) where there is nothing random.
      ids, languages: [N] of the test examples.
      scores: [S, N].
    """

    paradigm: str
    regime: int | None
    seeds: tuple[int | None, ...]
    ids: tuple[str, ...]
    languages: tuple[str, ...]
    scores: np.ndarray

    @property
    def name(self) -> str:
        """Such as 'FIAT at 300'."""
        return run_name(self.paradigm, self.regime)


def run_name(paradigm: str, regime: int | None) -> str:
    """Such as 'FIAT at 300'."""
    return paradigm if regime is None else f"{paradigm} at {regime:,}"


def gather(cells: Iterable[Cell]) -> dict[tuple[str, int | None], Runs]:
    """Puts the seeds of each paradigm and regime together, examples in the order of the first cell.

    Raises:
      DataError: there is no cell, one is there twice, a paradigm is with and without seeds, or cells are not
        on the same examples.
    """
    cells = list(cells)
    if not cells:
        raise DataError("scores: expected at least one cell, found none.")
    order = list(cells[0].by_example())
    by_place: dict[tuple[str, int | None], dict[int | None, np.ndarray]] = {}
    for cell in cells:
        seeds = by_place.setdefault((cell.paradigm, cell.regime), {})
        if cell.seed in seeds or (seeds and None in {cell.seed, *seeds}):
            raise DataError(f"{cell.name}: expected each seed once, found also {_listed(seeds)}.")
        seeds[cell.seed] = _in_order(cell, order, cells[0].name)
    ids, languages = tuple(id for _, id in order), tuple(language for language, _ in order)
    return {
        (paradigm, regime): Runs(
            paradigm, regime, tuple(seeds), ids, languages, np.array(list(seeds.values()))
        )
        for (paradigm, regime), seeds in by_place.items()
    }


def _listed(seeds: Iterable[int | None]) -> str:
    return ", ".join(f"seed {seed}" for seed in seeds)


def _in_order(cell: Cell, order: list[tuple[str, str]], first: str) -> np.ndarray:
    scores = cell.by_example()
    if missing := set(order) - set(scores):
        raise DataError(f"{cell.name}: expected the examples of {first}, found none of {_first(missing)}.")
    if more := set(scores) - set(order):
        raise DataError(f"{cell.name}: expected the examples of {first}, found also {_first(more)}.")
    return np.array([scores[example] for example in order])


def _first(examples: set[tuple[str, str]]) -> str:
    language, id = min(examples)
    return f"id {id!r}, language {language!r}"


@dataclass(frozen=True)
class Score:
    """What one number is made of the scores of examples: the mean over languages of a metric of each.

    Attributes:
      languages: those that count; () for all.
      metric: of one language's examples; None for the mean of their scores. Others, such as AUC-PR, get the
        values of a resample and which rows of the test split those are, for labels to be looked up.
    """

    languages: tuple[str, ...] = ()
    metric: Metric | None = None

    def rows(self, languages: Sequence[str]) -> list[np.ndarray]:
        """Which test examples are in each language that counts.

        Args:
          languages: [N] of the examples.

        Raises:
          ConfigError: a language has fewer than two.
        """
        of_each = np.array(languages)
        groups = []
        for language in self.languages or sorted(set(languages)):
            groups.append(np.flatnonzero(of_each == language))
            if len(groups[-1]) < 2:
                raise ConfigError(
                    f"Score.languages: expected two examples or more of {language!r}, "
                    f"found {len(groups[-1])}; the test split has {', '.join(sorted(set(languages)))}."
                )
        return groups


def per_language(score: Score, runs: Runs) -> dict[str, Score]:
    """A score over all its languages, as '', and of each alone where there are several."""
    languages = score.languages or tuple(sorted(set(runs.languages)))
    alone = {language: Score((language,), score.metric) for language in languages}
    return {"": score, **(alone if len(languages) > 1 else {})}
