"""chrF, BLEU and ROUGE are what their libraries say."""

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from fiat_jax.data.metrics import METRICS

TARGETS = [["the cat sat on the mat.", "a cat sat there"], "Achebe wrote it in 1958", ["নদীর নাম পদ্মা"]]
PREDICTIONS = ["a cat sat on a mat.", "Achebe has written it in 1958", "নদীর নাম যমুনা"]
STREAMS = [["the cat sat on the mat.", *TARGETS[1:2], "নদীর নাম পদ্মা"], ["a cat sat there", None, None]]


@pytest.mark.parametrize(
    ("name", "language", "metric"),
    [
        ("chrf", "bn", CHRF()),
        ("bleu", "bn", BLEU()),
        ("bleu", "zh", BLEU(tokenize="zh")),
        ("bleu", "ja", BLEU(tokenize="char")),
    ],
)
def test_a_corpus_scores_as_sacrebleu_says(name, language, metric):
    expected = metric.corpus_score(PREDICTIONS, STREAMS).score
    assert METRICS[name](TARGETS, PREDICTIONS, language) == {name: pytest.approx(expected)}
    assert expected > 0


@pytest.mark.parametrize("name", ["chrf", "bleu"])
def test_an_example_that_counts_twice_is_two(name):
    rows = [0, 1, 1]
    twice = METRICS[name]([TARGETS[at] for at in rows], [PREDICTIONS[at] for at in rows])
    counted = METRICS[name].prepare(TARGETS, PREDICTIONS, "")(np.array([1.0, 2.0, 0.0]))
    assert counted == (pytest.approx(twice[name]),)


def test_rouge_is_rouge_scores_on_ascii_text():
    theirs = RougeScorer(["rouge1", "rouge2", "rougeL"])
    for targets, prediction in zip(TARGETS[:2], PREDICTIONS, strict=False):
        good = [targets] if isinstance(targets, str) else targets
        expected = theirs.score_multi(good, prediction)
        assert METRICS["rouge"]([targets], [prediction]) == {
            name: pytest.approx(100 * expected[name].fmeasure) for name in expected
        }


def test_rouge_reads_words_of_other_scripts():
    found = METRICS["rouge"](["নদীর নাম পদ্মা।"], ["নদীর নাম যমুনা"])
    assert found["rouge1"] == pytest.approx(200 / 3)
