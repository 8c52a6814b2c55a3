"""Where scores stand: each language, groups of languages, and all, with how sure they are."""

from collections.abc import Mapping, Sequence

import numpy as np

from fiat_jax.data.metrics.metric import Score
from fiat_jax.intervals import bootstrap

SEED = 0
"""Of the draws of all intervals, so that scoring again gives the same."""

OVERALL = ""
"""The place of the overall score."""


class Places:
    """The languages of some examples, the means over groups of them, and the overall mean.

    Examples without a language, '', count as one more in the overall mean and are not named.

    Args:
      languages: for each example, its own.
      groups: languages by the name of their mean; under `OVERALL` those of the overall score, none for all.

    Attributes:
      rows: by language, where its examples are.
      languages: by place, the languages whose mean its scores are: each language, each group, `OVERALL`. Of a
        group, those that some example has; a group of none is left out.
    """

    def __init__(self, languages: Sequence[str], groups: Mapping[str, Sequence[str]]) -> None:
        found = np.array(languages)
        self.rows = {one: np.flatnonzero(found == one) for one in sorted({*languages})}
        named = {place: tuple(one for one in group if one in self.rows) for place, group in groups.items()}
        overall = named.pop(OVERALL, ()) or tuple(self.rows)
        self.languages: dict[str, tuple[str, ...]] = {one: (one,) for one in self.rows if one}
        self.languages |= {place: group for place, group in named.items() if group}
        self.languages[OVERALL] = overall
        self._shares = np.array(
            [[(one in group) / len(group) for one in self.rows] for group in self.languages.values()]
        )

    def scores(self, names: Sequence[str], scores: Mapping[str, Score]) -> dict[str, float]:
        """Scores by name: 'f1' for the overall one, and 'hau/f1' for that of a place.

        Args:
          names: what the scores are called.
          scores: by language, of its examples.
        """
        values = self._values(scores, [np.ones(len(rows)) for rows in self.rows.values()])
        return self._by_name(names, values)

    def intervals(self, names: Sequence[str], scores: Mapping[str, Score]) -> dict[str, float]:
        """The ends of their 95 % intervals, as 'f1_low', 'f1_high', 'hau/f1_low' and so on.

        The examples are resampled within each language.
        """
        sizes = [len(rows) for rows in self.rows.values()]
        low, high = bootstrap(lambda counts: self._values(scores, counts), sizes, SEED)
        return self._by_name([f"{name}_low" for name in names], low) | self._by_name(
            [f"{name}_high" for name in names], high
        )

    def counts(self) -> dict[str, float]:
        """The number of examples of each place, as 'n' and 'hau/n'."""
        return {
            within(place, "n"): sum(len(self.rows[one]) for one in languages)
            for place, languages in self.languages.items()
        }

    def _values(self, scores: Mapping[str, Score], counts: Sequence[np.ndarray]) -> np.ndarray:
        """[places, names], with the examples of each language counted so often."""
        each = [scores[language](count) for language, count in zip(self.rows, counts, strict=True)]
        return self._shares @ np.array(each, float)

    def _by_name(self, names: Sequence[str], values: np.ndarray) -> dict[str, float]:
        return {
            within(place, name): float(value)
            for place, row in zip(self.languages, values, strict=True)
            for name, value in zip(names, row, strict=True)
        }


def within(place: str, name: str) -> str:
    """What a score of a place is called among all scores of a run."""
    return f"{place}/{name}" if place else name
