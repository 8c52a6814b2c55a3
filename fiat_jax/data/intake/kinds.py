"""The kind of a task, as its answers show it."""

import re
from collections import Counter
from typing import Any, Literal

from fiat_jax.data.intake.files import Rows, is_empty

Kind = Literal["extractive", "classification", "numeric", "generation"]

_MOST_LABELS, _LONGEST_LABEL = 20, 40
_SPANS, _NUMBERS = 0.8, 0.95
"""The share of answers that stand in a field, or are numbers, where a task is of that kind."""


def kind_of(rows: Rows, answer: str, passage: str) -> tuple[Kind, str]:
    """The kind of a task, and what was seen.

    Args:
      rows: that have an answer.
      answer: the field of it.
      passage: the field that it may be a span of.
    """
    distinct = _distinct(rows, answer)
    spans = sum(_stands_in(texts_of(row, answer), str(row.get(passage))) for row in rows) / len(rows)
    numbers = sum(map(is_number, distinct)) / len(distinct)
    few = 1 < len(distinct) <= min(_MOST_LABELS, len(rows) // 5)
    if few and max(map(len, distinct)) <= _LONGEST_LABEL:
        return "classification", f"{len(distinct)} different answers ({listed(distinct)})"
    if spans >= _SPANS:
        return "extractive", f"{spans:.0%} of the answers stand in {passage!r}"
    if numbers >= _NUMBERS:
        return "numeric", f"{numbers:.0%} of the answers are numbers"
    return "generation", f"{len(distinct)} different answers, {spans:.0%} of them in {passage!r}"


def labels_of(rows: Rows, answer: str, kind: Kind) -> tuple[str, ...]:
    """All labels of a classification."""
    return tuple(sorted(_distinct(rows, answer))) if kind == "classification" else ()


def texts_of(row: dict[str, Any], field: str) -> list[str]:
    """What a field of a row holds, as texts; an answer may be several."""
    value = row.get(field)
    return [str(one).strip() for one in (value if isinstance(value, list) else [value]) if not is_empty(one)]


def is_number(text: str) -> bool:
    """Whether a text is a number, perhaps with a currency, a per cent sign and marks between digits."""
    return bool(re.fullmatch(r"[-+]?[$€£]?\d[\d,. ]*%?", text))


def listed(counts: Counter[str], most: int = 6) -> str:
    """The most frequent of some things with how often they are."""
    shown = [f"{name} {count}" for name, count in counts.most_common(most)]
    return ", ".join([*shown, *["..."] * (len(counts) > most)])


def _distinct(rows: Rows, answer: str) -> Counter[str]:
    return Counter(one for row in rows for one in texts_of(row, answer))


def _stands_in(answers: list[str], text: str) -> bool:
    """Whether one of some answers stands in a text, and not within a word of Latin letters."""
    text = text.lower()
    there = [one for one in map(str.lower, answers) if one in text]
    return any(re.search(rf"(?<![a-z0-9]){re.escape(one)}(?![a-z0-9])", text) for one in there)
