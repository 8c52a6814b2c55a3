"""The answer that a rationale ends with: by the marker as it was asked for, else by what comes near it."""

import re
from functools import cache
from typing import NamedTuple

_EMPHASIS = "*_`"
_QUOTES = ("\"'\u2018\u201c\u00ab\u201e\u300c", "\"'\u2019\u201d\u00bb\u201c\u300d")
"""What may open a quotation, and what may close it."""
_MARK = r"[*_`\"']*"
_OTHER = rf"^{_MARK}(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+)?(?:final\s+|correct\s+)?answer\b"
"""Other words for a marker, where they begin a line."""

# Not the stop of an abbreviation or an initial, which follows few letters.
_WORD = r"(?:(?<=\w\w\w\w)|(?<=\d)|(?<=[^\x00-\x7f]))"
_SENTENCE = re.compile(rf"{_WORD}(?:[.!?]\s+|[\u3002\u0964]\s*)(?=\S+\s+\S+\s+\S)")
_FULL_STOP = re.compile(rf"(?:{_WORD}|(?<=\b[yY]es)|(?<=\b[nN]o)|(?<=[\"'*_`]))[.\u3002\u0964]$")
_SHORT = 8
"""Words of an answer that is no text of its own, with full stops that belong to it."""


class Parsed(NamedTuple):
    """What a rationale says.

    Attributes:
      answer: None where it gives none.
      repaired: whether it was not given as it was asked for.
      reasoning: what comes before the answer; all, where there is none.
    """

    answer: str | None
    repaired: bool
    reasoning: str


def parse(rationale: str, marker: str) -> Parsed:
    """Finds the answer of a rationale; where the marker comes more than once, the last one counts.

    Strictly an answer is one line after the marker, with nothing around or after it. What is repaired: other
    case, marks and white space in the marker or no colon, another sentence about the answer that begins a
    line, a line break before it, emphasis, quotation marks, and after few words a full stop and more text.

    Args:
      rationale: as the reasoner wrote it.
      marker: such as 'The answer is:'.
    """
    before, found, after = rationale.rpartition(marker)
    if found and (answer := _cleaned(after)):
        return Parsed(answer, answer != after.lstrip(" ").rstrip(), before.strip())
    for match in reversed(list(_near(marker).finditer(rationale))):
        if answer := _cleaned(rationale[match.end() :]):
            return Parsed(answer, True, rationale[: match.start()].strip())
    return Parsed(None, False, rationale.strip())


@cache
def _near(marker: str) -> re.Pattern[str]:
    """What comes near a marker, with what parts it from the answer."""
    words = rf"\W*?\s{_MARK}".join(re.findall(r"\w+", marker))
    parting = rf"{_MARK}\s*(?:is\b\s*)?(?:[:=]|[\u2013\u2014-]\s)?{_MARK}\s*"
    near = rf"{_MARK}\b{words}\b|{_OTHER}(?=\W*[:=]|\s+is\b)"
    return re.compile(rf"(?:{near}){parting}", re.IGNORECASE | re.MULTILINE)


def _cleaned(text: str) -> str:
    """An answer without what stands around it and comes after it."""
    line = _bare(text.strip().strip(_EMPHASIS).strip().split("\n")[0])
    sentence = _SENTENCE.search(line)
    if sentence and len(line[: sentence.start()].split()) <= _SHORT:
        line = line[: sentence.start()]
    line = _bare(line)
    return _bare(_FULL_STOP.sub("", line)) if len(line.split()) <= _SHORT else line


def _bare(text: str) -> str:
    """Text without emphasis, or quotation marks that enclose all of it."""
    text = text.strip().strip(_EMPHASIS).strip()
    quoted = len(text) > 1 and text[0] in _QUOTES[0] and text[-1] in _QUOTES[1]
    if not quoted or {text[0], text[-1]} & set(text[1:-1]):  # none, or several quotations
        return text
    return text[1:-1].strip().strip(_EMPHASIS).strip()
