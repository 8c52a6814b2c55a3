"""Numeric answers: the number that a text gives, and whether it is the right one."""

import re
import unicodedata
from fractions import Fraction

from fiat_jax.data.metrics.metric import Answers, mean_of_examples, several

MARK = "####"
"""What comes before the answer in GSM8K."""

_DIGITS = 300  # more are no answer, and Python refuses to read thousands of them

_SIGNS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u066b": ".", "\u2044": "/"})
"""The minus and the dash that stand for '-', the Arabic decimal sign, and the slash of fractions."""

_APART = "[,'\u066c\u2019\u00a0\u202f\u2009]"
_NUMBER = re.compile(
    rf"""
    (?P<sign>(?<![0-9A-Za-z)])-)?           # but not that of '3-5' and 'COVID-19'
    (?:[$€£¥₹]\s?(?P<inner>-)?)?
    (?:
      (?P<whole>[1-9][0-9]{{0,2}}(?:{_APART}[0-9]{{2,3}})*{_APART}[0-9]{{3}}(?![0-9]))(?P<rest>\.[0-9]+)?
    | (?P<dotted>[1-9][0-9]{{0,2}}(?:\.[0-9]{{3}}){{2,}}(?![0-9]))(?P<comma>,[0-9]+)?
    | (?:(?P<units>[0-9]+)\s+)?(?P<over>[0-9]+)\s?/\s?(?P<under>[0-9]+)
    | (?P<plain>[0-9]+(?:[.,][0-9]+)?|(?<![0-9])\.[0-9]+)
      (?:[eE](?P<power>[+-]?[0-9]{{1,2}})(?![0-9A-Za-z]))?
    )
    """,
    re.VERBOSE,
)


def parse_number(text: str) -> Fraction | None:
    """The number that a text gives as its answer; None where there is none.

    That is the first after the last '####', or else the last of the text. Currency and percent signs are
    units, and do not count: '60 %' is 60. '1,234.5', '1.234.567', '12,34,567' and "1'234" have thousands
    apart, '3,5' has a decimal comma, and '3/4', '1 1/2', '2½' and '1.5e3' are read too. Digits may be of any
    script.

    Args:
      text: an answer, or a text that ends in one. Nothing in it is evaluated.
    """
    before, mark, after = text.rpartition(MARK)
    found = [*_NUMBER.finditer(_ascii_digits(after if mark else text))]
    if not found:
        return parse_number(before) if mark else None
    return _value(found[0] if mark else found[-1])


def _ascii_digits(text: str) -> str:
    """Digits of all scripts as 0 to 9, ½ as 1/2, and one sign for each meaning."""
    return "".join(map(_ascii_digit, text)).translate(_SIGNS)


def _ascii_digit(character: str) -> str:
    if character.isascii():
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if unicodedata.decomposition(character).startswith("<fraction>"):
        return " " + unicodedata.normalize("NFKC", character)
    return character


def _value(found: re.Match[str]) -> Fraction | None:
    if len(found[0]) > _DIGITS:
        return None
    if over := found["over"]:
        if not int(found["under"]):
            return None
        value = int(found["units"] or 0) + Fraction(int(over), int(found["under"]))
    elif whole := found["whole"]:
        value = Fraction(re.sub("[^0-9]", "", whole) + (found["rest"] or ""))
    elif dotted := found["dotted"]:
        value = Fraction(dotted.replace(".", "") + (found["comma"] or "").replace(",", "."))
    else:
        value = Fraction(found["plain"].replace(",", ".")) * Fraction(10) ** int(found["power"] or 0)
    return -value if found["sign"] or found["inner"] else value


def _numeric(answers: Answers, prediction: str, language: str) -> tuple[float]:
    given = parse_number(prediction)
    return (100 * float(given is not None and given in map(parse_number, several(answers))),)


NUMERIC = mean_of_examples({"numeric": "numeric"}, _numeric)
"""The share of predictions whose number is that of a good answer, exactly; see `parse_number`."""
