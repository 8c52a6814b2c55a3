"""How alike two examples are, so that one of them nearly being the other is found.

Each field is compared for itself, as the set of its character 5-grams: what share of the smaller set is in
the other one. The overlap of two examples is that of the field where they are least alike: two questions
on one passage are two examples.
"""

import re
import unicodedata
from collections.abc import Mapping

GRAM = 5
_BETWEEN = re.compile(r"[\W_]+")


def plain(text: str) -> str:
    """Text without what does not count when texts are compared: case, marks, and more than single spaces."""
    return _BETWEEN.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


class Sketch:
    """The fields of one example, ready to be compared.

    Args:
      fields: as text, by name. Case, marks and white space do not count.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        short_first = sorted(fields.items(), key=lambda field: len(field[1]))
        self.fields = {name: text for name, text in short_first if text.strip()}
        self._grams: dict[str, frozenset[str]] = {}

    def grams(self, name: str) -> frozenset[str]:
        """The 5-grams of a field; those at its ends count as many as those within."""
        if name not in self._grams:
            text = plain(self.fields[name])
            edge = " " * (GRAM - 1)
            padded = f"{edge}{text}{edge}" if text else ""
            self._grams[name] = frozenset(padded[i : i + GRAM] for i in range(len(padded) - GRAM + 1))
        return self._grams[name]


def overlap(one: Sketch, other: Sketch, enough: float = 0.0) -> float:
    """How alike two examples are: 0 to 1, where 1 is the same text or a part of it in every field.

    Args:
      one, other: compared in the fields that both have; 0 where there is none.
      enough: below this the answer may be too high, which saves the comparison of the longer fields.
    """
    if one.fields == other.fields:
        return 1.0
    least: float | None = None
    for name in other.fields:
        if name not in one.fields:
            continue
        a, b = one.grams(name), other.grams(name)
        if a and b:
            shared = len(a & b) / min(len(a), len(b))
            least = shared if least is None else min(least, shared)
            if least < enough:
                break
    return least or 0.0
