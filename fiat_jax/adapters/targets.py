"""Which parts of a model an adapter's patterns matched, checked and shown before anything is learned."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TypeVar

from fiat_jax.errors import ConfigError

Value = TypeVar("Value")
Overrides = tuple[tuple[str, Value], ...]
"""Pairs of a pattern and what holds instead where it matches; the first that matches counts."""


def matches(patterns: Iterable[str], path: str) -> bool:
    """Whether a pattern matches a whole module path."""
    return any(_compiled(pattern).fullmatch(path) for pattern in patterns)


def override(overrides: Overrides[Value], path: str, default: Value) -> Value:
    """The value of the first pattern that matches a module path, else the default."""
    return next((value for pattern, value in overrides if matches((pattern,), path)), default)


def check_patterns(field: str, patterns: Iterable[str]) -> None:
    """Makes sure that all patterns are regular expressions.

    Raises:
      ConfigError: one is not; the sentence names the field, such as 'LoRA.targets'.
    """
    for pattern in patterns:
        try:
            _compiled(pattern)
        except re.error as error:
            raise ConfigError(f"{field}: {pattern!r} is not a regular expression: {error}.") from None


def check_targets(patterns: Mapping[str, Iterable[str]], paths: Iterable[str]) -> None:
    """Makes sure that every pattern matches something.

    Args:
      patterns: regular expressions for whole module paths, by the field that holds them.
      paths: the module paths that an adapter of the kind may change.

    Raises:
      ConfigError: a pattern that matches nothing, with the paths there are.
    """
    paths = sorted(paths)
    for field, those in patterns.items():
        for pattern in those:
            if not any(matches((pattern,), path) for path in paths):
                raise ConfigError(
                    f"{field}: the pattern {pattern!r} matches nothing in the model; "
                    f"expected a regular expression for a whole path among {', '.join(paths)}."
                )


def target_table(learned: Mapping[str, Mapping[str, tuple[int, ...]]], trainable: int, frozen: int) -> str:
    """A table of what an adapter learns and where.

    Args:
      learned: shapes of its arrays by their name, by module path.
      trainable: parameters that are learned.
      frozen: parameters of the base.

    Returns:
      Lines of text; the last gives the trainable share.
    """
    width = max(map(len, learned), default=0)
    rows = []
    for path, arrays in sorted(learned.items()):
        shapes = (f"{name} {' x '.join(map(str, shape))}" for name, shape in sorted(arrays.items()))
        rows.append(f"  {path:<{width}}  {'   '.join(shapes)}")
    share = 100.0 * trainable / (trainable + frozen)
    total = f"{trainable:,} trainable of {trainable + frozen:,} parameters ({share:.2f} %)"
    return "\n".join([f"adapter in {len(learned)} places:", *rows, total])


_compiled = cache(re.compile)
