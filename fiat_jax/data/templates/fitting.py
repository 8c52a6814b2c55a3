"""A long input made to fit: parts of it end earlier, at a word or after a sentence."""

import bisect
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

RATIONALE = "rationale"
"""What the rationale is called among the parts that may be cut; it is no field of a row."""

Cut = Mapping[str, float]
"""By the name of what was shortened, the share of its characters that it lost; empty for nothing."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"  # kana and Han characters
)
_MARKS = "".join(mark for mark in map(chr, range(0x0E00, 0x3100)) if unicodedata.category(mark)[0] == "M")
_UNDER = rf"(?<=[\u1039\u17d2])[{_UNSPACED}]"  # Burmese and Khmer write a consonant under another
_WORD = re.compile(rf"[{_UNSPACED}](?:[{_MARKS}]|{_UNDER})*|[^\s{_UNSPACED}]+")
_SENTENCE = re.compile(
    r"[.!?\u061f\u06d4\u1362][\"'\u2019\u201d)\]]*(?=\s|$)"  # also Arabic, Urdu, Amharic
    r"|[\u0964\u104b\u17d4\u3002\uff01\uff1f]+"  # Indic, Burmese, Khmer, Chinese and Japanese
)


class Filling(NamedTuple):
    """What an example puts into a template.

    Attributes:
      id: the example's, by which one of several instructions is chosen.
      language: '' for none.
      fields: those of the input.
      rationale: the reasoner's; '' for none.
    """

    id: str
    language: str
    fields: Mapping[str, str]
    rationale: str = ""

    def part(self, name: str) -> str:
        """A field, or the rationale."""
        return self.rationale if name == RATIONALE else self.fields[name]

    def replaced(self, name: str, text: str) -> "Filling":
        """The same with another text as that part."""
        if name == RATIONALE:
            return self._replace(rationale=text)
        return self._replace(fields={**self.fields, name: text})


class Lost(NamedTuple):
    """What a part has lost at its end: that text, and how many characters it had with it."""

    text: str
    of: int


@dataclass(frozen=True)
class Fitted:
    """An input within its number of tokens.

    Attributes:
      text: the input.
      whole: the same with nothing cut.
      lost: what each part that was shortened has lost, by name; 'rationale' is the rationale.
    """

    text: str
    whole: str
    lost: Mapping[str, Lost]

    @property
    def cut(self) -> Cut:
        """The shares that were lost, to four decimals."""
        return {name: round(len(text) / of, 4) for name, (text, of) in self.lost.items()}


def word_ends(text: str) -> list[int]:
    """Where a text may end, ascending: before it begins, and after each of its words.

    In scripts that put no spaces between words that is after each character with its marks.
    """
    return [0, *(word.end() for word in _WORD.finditer(text))]


def sentence_ends(text: str) -> list[int]:
    """The same after each sentence, and after each word of the first."""
    ends = [sentence.end() for sentence in _SENTENCE.finditer(text)] or [len(text)]
    return [*(end for end in word_ends(text) if end < ends[0]), *ends]


def longest(text: str, ends: Sequence[int], fits: Callable[[str], bool]) -> str | None:
    """The longest beginning of a text that fits; None where nothing does.

    Args:
      text: the whole.
      ends: where it may end, ascending.
      fits: said of a beginning; what is shorter fits too.
    """
    fitting = bisect.bisect_right(ends, False, key=lambda end: not fits(text[:end]))
    return text[: ends[fitting - 1]] if fitting else None


def budgeted(filling: Filling, length: Callable[[str], int], most: int) -> Filling:
    """The filling with a rationale of a number of tokens at most."""
    rationale = filling.rationale
    if length(rationale) <= most:
        return filling
    shorter = longest(rationale, sentence_ends(rationale), lambda text: length(text) <= most)
    return filling.replaced(RATIONALE, shorter or "")


def shortened(
    filling: Filling, parts: Iterable[str], fits: Callable[[Filling], bool]
) -> tuple[Filling, bool]:
    """A filling that does not fit with one part after another shortened, until it does.

    Returns:
      The filling, and whether it fits now; if not, nothing is left of the parts.
    """
    for part in parts:
        text = filling.part(part)
        ends = sentence_ends(text) if part == RATIONALE else word_ends(text)
        shorter = longest(text, ends, _fits(filling, part, fits))
        filling = filling.replaced(part, shorter or "")
        if shorter is not None:
            return filling, True
    return filling, False


def losses(whole: Filling, fitted: Filling, parts: Iterable[str]) -> dict[str, Lost]:
    """What parts of a filling have lost."""
    texts = {part: (whole.part(part), fitted.part(part)) for part in parts}
    return {
        part: Lost(before[len(after) :], len(before))
        for part, (before, after) in texts.items()
        if before != after
    }


def _fits(filling: Filling, part: str, fits: Callable[[Filling], bool]) -> Callable[[str], bool]:
    """Whether a filling fits with a text as its part."""
    return lambda text: fits(filling.replaced(part, text))
