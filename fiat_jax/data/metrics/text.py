"""SQuAD's F1 and exact match, and their multilingual rules of MLQA."""

import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import cache

from fiat_jax.data.metrics.metric import Answers, Each, mean_of_examples, several

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")

_ARTICLES_OF = {
    "en": _ARTICLES,
    "es": re.compile(r"\b(un|una|unos|unas|el|la|los|las)\b"),
    "vi": re.compile(r"\b(của|là|cái|chiếc|những)\b"),
    "de": re.compile(r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b"),
    "ar": re.compile("ال"),  # inside words too, as MLQA's own pattern comes down to
}
"""What MLQA takes for articles. Hindi and Chinese have none, and of other languages it says nothing."""

_APART = {
    "zh": re.compile("([\u4e00-\u9fa5])"),
    "ja": re.compile("([\u3040-\u30ff\u4e00-\u9fa5])"),
    "th": re.compile("([\u0e00-\u0e7f])"),
}
"""The characters that are words of their own; MLQA has only Chinese, and the others follow it."""


def normalize(text: str) -> str:
    """Lower case, without ASCII punctuation and English articles, white space collapsed."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def normalize_in(text: str, language: str) -> str:
    """As MLQA normalises: any script's punctuation, the language's articles, words apart.

    Args:
      text: an answer.
      language: 'en', 'es', 'hi', 'vi', 'de', 'ar' or 'zh' as MLQA has them, 'ja' or 'th'; another has no
        articles, and white space between its words.

    Source: MLQA's mlqa_evaluation_v1.py.
    """
    text = text.lower().translate(_every_punctuation())
    if articles := _ARTICLES_OF.get(language):
        text = articles.sub(" ", text)
    if apart := _APART.get(language):
        text = apart.sub(r" \1 ", text)
    return " ".join(text.split())


@cache
def _every_punctuation() -> dict[int, None]:
    """Characters of Unicode's categories P, and the ASCII symbols that count as punctuation."""
    every = (at for at in range(sys.maxunicode) if unicodedata.category(chr(at)).startswith("P"))
    return dict.fromkeys([*every, *map(ord, string.punctuation)])


def f1_score(answer: str, prediction: str) -> float:
    """Overlap of the two bags of words, 0 to 1; 0 where no word is shared, as between two empty texts."""
    return _overlap(normalize(answer), normalize(prediction))


def exact_match(answer: str, prediction: str) -> float:
    """1 where the two are the same when normalised, or else 0."""
    return float(normalize(answer) == normalize(prediction))


def _overlap(answer: str, prediction: str) -> float:
    expected, given = answer.split(), prediction.split()
    shared = sum((Counter(expected) & Counter(given)).values())
    return 2 * shared / (len(expected) + len(given)) if shared else 0.0


def _best(normal: Callable[[str, str], str]) -> Each:
    """F1 and exact match against the best of the good answers, under a way to normalise text."""

    def each(answers: Answers, prediction: str, language: str) -> tuple[float, float]:
        good, given = [normal(one, language) for one in several(answers)], normal(prediction, language)
        return 100 * max(_overlap(one, given) for one in good), 100 * float(given in good)

    return each


SQUAD = mean_of_examples({"f1": "F1", "em": "EM"}, _best(lambda text, language: normalize(text)))
"""SQuAD v1.1's evaluation, as XTREME-UP uses it."""

MLQA = mean_of_examples({"mlqa_f1": "MLQA F1", "mlqa_em": "MLQA EM"}, _best(normalize_in))
"""MLQA's evaluation; see `normalize_in`."""
