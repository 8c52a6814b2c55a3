"""What holds for every metric there is, on the texts that break metrics."""

import sys

import numpy as np
import pytest

from fiat_jax.data.metrics import LABELS, METRICS, load_metrics, own_score, score_each, single_scores
from fiat_jax.data.metrics.places import Places
from fiat_jax.errors import ConfigError

TEXTS = {
    "empty": "",
    "white space": " \n\t\u00a0",
    "punctuation": "?!.",
    "marks of other scripts": "।。؟“”",
    "articles": "the a an",
    "No Answer": "No Answer",
    "unicode": "Ọ̀ṣun — নদী 北京 😀",
    "digits": "১২৩",
    "a lone surrogate's text": "\ufffd",
    "numbers": "1,234.5",
    "long": "word " * 500,
}
EMPTY_IS_RIGHT = {"em", "mlqa_em", "accuracy", "macro_f1", "answerability", "no_answer_f1"}
NEVER_RIGHT = {
    "f1": ("empty", "white space", "punctuation", "articles"),
    "mlqa_f1": ("empty", "white space", "punctuation", "articles", "marks of other scripts"),
}


@pytest.fixture(params=METRICS)
def metric(request):
    return METRICS[request.param]


@pytest.mark.parametrize("language", ["", "en", "ar", "zh", "ja", "th", "bn"])
def test_scores_of_any_two_texts_are_from_0_to_100_and_finite(metric, language):
    for target in TEXTS.values():
        for prediction in ("", "No Answer", target, "other"):
            found = metric([target], [prediction], language)
            assert [*found] == [*metric.labels]
            assert all(0 <= value <= 100 + 1e-9 for value in found.values()), (target, prediction, found)


def test_an_answer_that_is_the_target_scores_all_and_another_nothing(metric):
    answer = "Abuja is 42" if "numeric" in metric.labels else "a river in Nigeria flows"
    found = metric([answer, answer], [answer, answer], "en")
    assert found.pop("no_answer_f1", 0.0) == 0.0  # nothing is unanswerable
    assert [*found.values()] == pytest.approx([100.0] * len(found))
    wrong = metric([answer], ["No Answer"], "en")
    wrong.pop("chrf", None)  # letters may be shared
    assert set(wrong.values()) <= {0.0}


def test_two_empty_texts_agree_where_texts_are_compared_and_share_nothing_where_words_are(metric):
    found = metric([""], [""], "en")
    assert found == {name: 100.0 if name in EMPTY_IS_RIGHT else 0.0 for name in metric.labels}


@pytest.mark.parametrize("text", TEXTS)
def test_no_word_is_no_overlap(text):
    for name, texts in NEVER_RIGHT.items():
        metric = next(one for one in METRICS.values() if name in one.labels)
        assert (metric([TEXTS[text]], [TEXTS[text]], "en")[name] == 0.0) == (text in texts)


def test_the_best_of_several_answers_counts_for_every_metric(metric):
    several = [["No Answer", "river 42 flows to the sea", "lake"]]
    assert metric(several, ["river 42 flows to the sea"]) == pytest.approx(
        metric(["river 42 flows to the sea"], ["river 42 flows to the sea"])
    )


def test_an_example_that_is_not_counted_does_not_count(metric):
    targets = [*TEXTS.values(), "river 42", "lake", "No Answer"]
    predictions = ["No Answer", *[*TEXTS.values()][1:], "river 42", "sea 7", "lake"]
    counts = np.arange(len(targets)) % 3
    rows = np.repeat(np.arange(len(targets)), counts)
    repeated = metric([targets[at] for at in rows], [predictions[at] for at in rows], "bn")
    score = metric.prepare(targets, predictions, "bn")
    assert [*score(counts.astype(float))] == pytest.approx([*repeated.values()])


def test_the_scores_of_one_example_are_those_of_it_alone_and_their_mean_is_the_score(metric):
    if metric.each is None:
        return
    targets, predictions = [*TEXTS.values(), "lake 1"], ["No Answer", *[*TEXTS.values()][1:], "lake 2"]
    each = [metric.each(*pair, "bn") for pair in zip(targets, predictions, strict=True)]
    assert np.mean(each, axis=0).tolist() == pytest.approx([*metric(targets, predictions, "bn").values()])


def test_every_metric_has_intervals_within_each_language(metric):
    answers = ["river 42 flows to the sea", "a lake lies at 1958 feet", "No Answer"]
    targets = [answers[at % 3] for at in range(60)]
    predictions = [answers[at % 3 if at % 5 else (at + 1) % 3] for at in range(60)]
    languages = ["aa" if at % 2 else "bb" for at in range(60)]
    places = Places(languages, {})
    prepared = {
        one: metric.prepare([targets[at] for at in rows], [predictions[at] for at in rows], one)
        for one, rows in places.rows.items()
    }
    found, sure = places.scores([*metric.labels], prepared), places.intervals([*metric.labels], prepared)
    assert len(sure) == 2 * len(found)
    for name, value in found.items():
        assert sure[f"{name}_low"] <= value <= sure[f"{name}_high"]
    leading = next(iter(metric.labels))
    assert sure[f"{leading}_low"] < sure[f"{leading}_high"]
    assert places.intervals([*metric.labels], prepared) == sure


def test_no_two_scores_share_a_name():
    assert len(LABELS) == sum(len(metric.labels) for metric in METRICS.values())


def test_single_examples_have_the_scores_that_are_means_over_examples():
    assert single_scores(("bleu", "squad", "macro_f1", "numeric")) == ("f1", "em", "numeric")
    assert score_each(("macro_f1", "squad"), ["x y"], "x", "") == {"f1": pytest.approx(200 / 3), "em": 0.0}
    assert own_score(("bleu", "accuracy")) == "accuracy"
    with pytest.raises(ConfigError, match=r"scores each example by itself, .* found bleu, macro_f1, for all"):
        own_score(("bleu", "macro_f1"))


@pytest.mark.parametrize(("name", "package"), [("bleu", "sacrebleu"), ("rouge", "rouge_score")])
def test_a_library_that_is_not_there_is_one_clear_sentence(monkeypatch, name, package):
    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ConfigError, match=rf"expected the package '{package}' .*fiat-jax\[metrics\]"):
        load_metrics(("squad", name))
