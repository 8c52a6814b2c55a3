"""The answer that a rationale ends in."""

import re


def is_marked(text: str, marker: str) -> bool:
    """Whether a text has a marker in it, as `read_answer` looks for it."""
    return len(_parts(text, marker)) > 1


def read_answer(rationale: str, marker: str) -> str:
    """What stands after the last marker, on one line; '' where there is no marker.

    Large and small letters, a missing colon, and stars or quotes around the answer are of no account, nor is
    a full stop at its end.

    Args:
      rationale: what the large model wrote.
      marker: such as 'The answer is:'.
    """
    *before, last = _parts(rationale, marker)
    lines = last.strip("*: \t\r\n").splitlines()
    if not before or not lines:
        return ""
    return lines[0].strip("*`\"' \t").removesuffix(".").strip("*`\"' \t")


def _parts(text: str, marker: str) -> list[str]:
    words = r"\s+".join(map(re.escape, marker.strip().rstrip(":").split()))
    return re.split(words, text, flags=re.IGNORECASE)
