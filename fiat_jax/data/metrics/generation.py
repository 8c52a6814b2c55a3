"""chrF, BLEU and ROUGE, computed by the libraries that others report them with."""

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from typing import Any

import numpy as np

from fiat_jax.data.metrics.metric import Answers, Metric, Score, mean_of_examples, several

_BLEU_TOKENS = {"zh": "zh", "ja": "char", "th": "char"}
"""How sacrebleu takes words apart where there is no white space between them."""

_ROUGES = {"rougeL": "ROUGE-L", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2"}


def _chrf(targets: Sequence[Answers], predictions: Sequence[str], language: str) -> Score:
    from sacrebleu.metrics import CHRF

    return _of_corpus(CHRF(), targets, predictions)


def _bleu(targets: Sequence[Answers], predictions: Sequence[str], language: str) -> Score:
    from sacrebleu.metrics import BLEU

    return _of_corpus(BLEU(tokenize=_BLEU_TOKENS.get(language, "13a"), force=True), targets, predictions)


def _of_corpus(metric: Any, targets: Sequence[Answers], predictions: Sequence[str]) -> Score:
    """A score of sacrebleu, of the sum of what it counts in each example.

    `corpus_score` does no more than this, but reads every text again.
    """
    streams = [*zip_longest(*map(several, targets))]  # None where an example has fewer good answers
    rows = np.array(metric._extract_corpus_statistics(list(predictions), streams))
    return lambda counts: (metric._compute_score_from_stats((counts @ rows).astype(int).tolist()).score,)


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([*_ROUGES], tokenizer=_Words())


class _Words:
    """Words of any script for rouge-score, whose own tokenizer knows ASCII alone; the same on ASCII text."""

    def tokenize(self, text: str) -> list[str]:
        kept = (one if unicodedata.category(one)[0] in "LMN" else " " for one in text.lower())
        return "".join(kept).split()


def _rouge(answers: Answers, prediction: str, language: str) -> list[float]:
    found = _rouge_scorer().score_multi([*several(answers)], prediction)
    return [100 * found[name].fmeasure for name in _ROUGES]


CHRF = Metric({"chrf": "chrF"}, _chrf, package="sacrebleu")
"""The F-score of character n-grams, with sacrebleu's settings: n to 6, beta 2, no words."""

BLEU = Metric({"bleu": "BLEU"}, _bleu, package="sacrebleu")
"""BLEU of the corpus with sacrebleu's settings; the tokens of its 13a, of its zh, or characters."""

ROUGE = mean_of_examples(_ROUGES, _rouge, package="rouge_score")
"""ROUGE's F-measures without stemming, of the best good answer, which is another for each of them."""
