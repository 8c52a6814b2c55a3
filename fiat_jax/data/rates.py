"""How often a language comes in training, and a stream of examples that follows it exactly."""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Mixing = float | Literal["proportional", "equal"]
"""Rates of languages: as many examples have them, all the same, or n ** (1 / T) of n examples and a T."""

_FINE = 1 << 20


def rate(examples: int, mixing: Mixing) -> int:
    """The rate of a language among others: a whole number, on which all machines agree.

    Args:
      examples: how many it has.
      mixing: see `Mixing`; temperatures are 1 or more.
    """
    if mixing == "proportional" or not examples:
        return examples
    return 1 if mixing == "equal" else round(_FINE * examples ** (1 / float(mixing)))


class RatedStream:
    """An endless stream of examples in which languages come at their rates.

    It goes in rounds of as many draws as there are examples. After each round every language has been drawn
    as often as its rate says, to within one draw, and within a round in a random order. What is drawn of a
    language are its passes, one after another: all its examples once in random order, and again.

    Args:
      languages: of each example.
      mixing: see `rate`.
      permutation: of (size, stream, number): the order of `size` things, which is a function of the three.
    """

    def __init__(
        self, languages: Sequence[str], mixing: Mixing, permutation: Callable[[int, int, int], np.ndarray]
    ) -> None:
        self._count, self._permutation = len(languages), permutation
        names, of_each = np.unique(np.array(languages), return_inverse=True)
        self._rows = [np.flatnonzero(of_each == one) for one in range(len(names))]
        counts = Counter(languages)
        rates = [rate(counts[str(name)], mixing) for name in names]
        self._up_to = [sum(rates[:end]) for end in range(len(rates) + 1)]
        self._round = functools.lru_cache(maxsize=4)(self._draws)

    def place(self, at: int) -> tuple[int, int]:
        """What stands at a place of the stream: the pass of its language, and the example's position."""
        number, within = divmod(at, self._count)
        passes, rows = self._round(number)
        return int(passes[within]), int(rows[within])

    def _before(self, number: int) -> np.ndarray:
        """Draws of each language before a round; they sum to those of all rounds, and none is ever fewer."""
        draws = number * self._count
        ends = [share * draws // self._up_to[-1] for share in self._up_to]
        return np.diff(np.array(ends, np.int64))

    def _draws(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The passes and rows of a round."""
        first = self._before(number)
        shares = self._before(number + 1) - first
        order = self._permutation(self._count, 0, number)
        drawn = np.repeat(np.arange(len(shares)), shares)[order]
        passes, rows = np.empty(self._count, np.int64), np.empty(self._count, np.int64)
        for language, its in enumerate(self._rows):
            places = np.flatnonzero(drawn == language)
            of_each, within = np.divmod(first[language] + np.arange(len(places)), len(its))
            passes[places] = of_each
            for one in np.unique(of_each):
                order = self._permutation(len(its), 1 + language, int(one))
                rows[places[of_each == one]] = its[order[within[of_each == one]]]
        return passes, rows
