"""How many tokens inputs and answers have, counted or estimated from their letters."""

import re
from collections.abc import Callable, Sequence

Counter = Callable[[str], int]

_STEP, _MOST = 64, 512
_BESIDE = 128
"""Tokens for the instruction and a rationale."""


def estimate(text: str) -> int:
    """Tokens of a text in a vocabulary that is not at hand, rather too many than too few."""
    beyond = sum(ord(letter) > 127 for letter in text)
    return -(-(len(text) - beyond) // 3) + beyond


def input_length(texts: Sequence[str], count: Counter) -> tuple[int, int]:
    """Tokens to give an input, and how many texts will be cut to fit.

    Enough for 95 of 100 texts with instruction and rationale, up to what T5 was pretrained on.
    """
    lengths = sorted(map(count, texts))
    length = min(_up(lengths[len(lengths) * 95 // 100] + _BESIDE, _STEP), _MOST)
    return length, sum(one + _BESIDE > length for one in lengths)


def answer_length(texts: Sequence[str], count: Counter) -> int:
    """Tokens to give an answer: the longest with half of it to spare, since answers are never cut."""
    return _up(max(map(count, texts)) * 3 // 2 + 1, 32)


def other_letters(texts: Sequence[str]) -> float:
    """The share of letters outside the Latin script, which T5's vocabularies cannot write, 0 to 1."""
    letters = other = 0
    for text in texts:
        letters += len(re.findall(r"[^\W\d_]", text))
        other += len(re.findall(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]", text))
    return other / max(letters, 1)


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
