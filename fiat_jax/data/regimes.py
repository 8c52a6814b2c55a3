"""Which training examples are used: some are held out for validation, and a regime takes some of the rest.

Both choose by hashes of ids, so that neither the order of the files nor the machine matters, and an example
that is added changes the choice of few others.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fiat_jax.errors import ConfigError, DataError

Key = tuple[str, str]
"""An example: its language, '' where it has none, and its id."""


@dataclass(frozen=True)
class Regime:
    """How many training examples are used, and which.

    Of one seed, a smaller regime lies within every larger one.

    Attributes:
      size: examples in all, over all languages.
      seed: of the choice.
      balanced: take from each language as many, as far as it has them; else chance decides, and a language
        has about its share.
    """

    size: int
    seed: int = 0
    balanced: bool = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"Regime.size: expected 1 or more, found {self.size}.")

    def choose(self, keys: Iterable[Key], name: str) -> set[Key]:
        """The examples that are used.

        Args:
          keys: all there are, in any order.
          name: the task's, for messages.

        Raises:
          DataError: there are fewer, or languages are balanced and none is known.
        """
        order = sorted(keys, key=lambda key: (_hash(f"{self.seed} {key[1]}"), key))
        if self.size > len(order):
            raise DataError(
                f"task {name}: expected a regime of at most {len(order)} examples, which is what 'train' has "
                f"once others are held out, found Regime.size = {self.size}."
            )
        if self.balanced:
            order = self._in_turn(order, name)
        return set(order[: self.size])

    def _in_turn(self, order: Iterable[Key], name: str) -> list[Key]:
        """The same, one of each language after another until it has no more."""
        by_language = _by_language(order)
        if not any(by_language):
            raise DataError(
                f"task {name}: expected rows with a language to balance, found none; set "
                "Task.language_field, or leave out Regime.balanced."
            )
        places = {key: place for keys in by_language.values() for place, key in enumerate(keys)}
        turns = {language: _hash(f"{self.seed} {language}") for language in by_language}
        return sorted(places, key=lambda key: (places[key], turns[key[0]], key))


def keys_of(rows: Iterable[Mapping[str, Any]]) -> list[Key]:
    """The keys of rows."""
    return [(row["language"], row["id"]) for row in rows]


def held_out(keys: Iterable[Key], count: int, name: str) -> set[Key]:
    """The examples that become a validation split.

    Args:
      keys: those of 'train'.
      count: how many of each language.
      name: the task's, for messages.

    Raises:
      DataError: a language has no more than that.
    """
    chosen = set()
    for language, its in _by_language(keys).items():
        if len(its) <= count:
            raise DataError(
                f"task {name}: expected more than holdout = {count} training examples"
                f"{' in ' * bool(language)}{language}, found {len(its)}; lower Task.holdout."
            )
        chosen.update(sorted(its, key=lambda key: _hash(key[1]))[:count])
    return chosen


def _by_language(keys: Iterable[Key]) -> dict[str, list[Key]]:
    grouped = defaultdict(list)
    for key in keys:
        grouped[key[0]].append(key)
    return dict(grouped)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
