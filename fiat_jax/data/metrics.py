"""Scores of answers."""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

Answers = str | Sequence[str]
"""A good answer, or several of which any will do."""

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize(text: str) -> str:
    """Lower case, without ASCII punctuation and English articles, white space collapsed."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def f1_score(answer: str, prediction: str) -> float:
    """Overlap of the two bags of words, 0 to 1; 0 where no word is shared, as between two empty texts."""
    expected, given = normalize(answer).split(), normalize(prediction).split()
    shared = sum((Counter(expected) & Counter(given)).values())
    return 2 * shared / (len(expected) + len(given)) if shared else 0.0


def exact_match(answer: str, prediction: str) -> float:
    """1 where the two are the same when normalised, or else 0."""
    return float(normalize(answer) == normalize(prediction))


def squad(targets: Sequence[Answers], predictions: Sequence[str]) -> dict[str, float]:
    """SQuAD's F1 and exact match: means over the examples, 0 to 100.

    Args:
      targets: for each example its answer, or several, of which the best match counts.
      predictions: as many.

    Source: SQuAD v1.1's evaluation, as XTREME-UP uses it.
    """
    pairs = list(zip(targets, predictions, strict=True))

    def best(score: Callable[[str, str], float], answers: Answers, prediction: str) -> float:
        return max(
            score(answer, prediction) for answer in ([answers] if isinstance(answers, str) else answers)
        )

    def mean(score: Callable[[str, str], float]) -> float:
        return 100 * sum(best(score, *pair) for pair in pairs) / len(pairs)

    return {"f1": mean(f1_score), "em": mean(exact_match)}


METRICS: Mapping[str, Callable[[Sequence[Answers], Sequence[str]], dict[str, float]]] = {"squad": squad}
"""Metrics by name: of targets and predictions."""


def squad_by_language(
    languages: Iterable[str], targets: Sequence[Answers], predictions: Sequence[str]
) -> dict[str, dict[str, float]]:
    """`squad` for each language, and under 'mean' the mean over the languages.

    Examples without a language, '', count as one more in the mean and are not named.

    Args:
      languages: for each example, its own.
      targets, predictions: as in `squad`.
    """
    rows: dict[str, tuple[list[Answers], list[str]]] = {}
    for language, target, prediction in zip(languages, targets, predictions, strict=True):
        answers, texts = rows.setdefault(language, ([], []))
        answers.append(target)
        texts.append(prediction)
    scores = {language: squad(*rows[language]) for language in sorted(rows)}
    mean = {name: sum(one[name] for one in scores.values()) / len(scores) for name in ("f1", "em")}
    return {language: one for language, one in scores.items() if language} | {"mean": mean}


def average_precision(scores: Sequence[float], positives: Sequence[bool]) -> float:
    """The area under the precision-recall curve in steps, 0 to 1; 0 where nothing is positive.

    It is sum over thresholds n of (R_n - R_(n-1)) P_n, from the highest score down; examples of one score
    come together. As scikit-learn has it; chance gives the share of positives.

    Args:
      scores: for each example, the higher the surer that it is positive.
      positives: whether it is.
    """
    ranked = sorted(zip(scores, positives, strict=True), reverse=True)
    seen, found, area = 0, 0, 0.0
    for _, group in groupby(ranked, key=lambda one: one[0]):
        tied = [positive for _, positive in group]
        seen, found = seen + len(tied), found + sum(tied)
        area += sum(tied) * found / seen
    return area / found if found else 0.0
