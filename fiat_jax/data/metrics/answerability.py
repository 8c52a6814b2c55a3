"""Whether a question is known to have no answer."""

from collections.abc import Sequence

import numpy as np

from fiat_jax.data.metrics.metric import Answers, Metric, Score, several
from fiat_jax.data.metrics.text import normalize

NO_ANSWER = "No Answer"
"""What XTREME-UP writes where a passage does not answer the question."""


def says_none(text: str) -> bool:
    """Whether a text says that there is no answer: 'No Answer' as SQuAD's rules compare text, or nothing."""
    return normalize(text) in ("", normalize(NO_ANSWER))


def _answerability(targets: Sequence[Answers], predictions: Sequence[str], language: str) -> Score:
    none = np.array([all(map(says_none, several(answers))) for answers in targets])
    said = np.array([*map(says_none, predictions)])
    right = none == said

    def score(counts: np.ndarray) -> tuple[float, float]:
        hits, wanted, given = counts @ (none & said), counts @ none, counts @ said
        f1 = 2 * hits / (wanted + given) if hits else 0.0
        return 100 * counts @ right / counts.sum(), 100 * f1

    return score


ANSWERABILITY = Metric({"answerability": "answerable", "no_answer_f1": "no-answer F1"}, _answerability)
"""The share of examples that are rightly answered or not, whatever the answer is, and the F1 of `No Answer`,
which is 0 where no example without an answer is found. An example has none where no good answer says more."""
