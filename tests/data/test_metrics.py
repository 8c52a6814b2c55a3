import collections
import json
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat_jax.data.metrics import (
    average_precision,
    exact_match,
    f1_score,
    normalize,
    squad,
    squad_by_language,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Chinua ACHEBE", "chinua achebe"),
        ("U.S.A.", "usa"),
        ("don't-stop", "dontstop"),
        ("the book of an author, a novel", "book of author novel"),
        ("theatre and Anna", "theatre and anna"),
        ("  two \t\n words\u00a0", "two words"),
        ("“quoted” – dash", "“quoted” – dash"),  # noqa: RUF001
        ("A.", ""),
    ],
)
def test_normalize(text, expected):
    assert normalize(text) == expected


@pytest.mark.parametrize(
    ("answer", "prediction", "f1", "em"),
    [
        ("16 June 1958", "June 16, 1958", 1.0, 0.0),
        ("Larry Page and Sergey Brin", "Larry Page", 4 / 7, 0.0),
        ("to be or not to be", "be be be", 2 * 2 / (6 + 3), 0.0),
        ("No Answer", "no answer.", 1.0, 1.0),
        ("1958", "1959", 0.0, 0.0),
        ("", "", 0.0, 1.0),
        ("the", "a", 0.0, 1.0),
        ("", "x", 0.0, 0.0),
    ],
)
def test_rules_of_the_two_scores(answer, prediction, f1, em):
    assert f1_score(answer, prediction) == pytest.approx(f1)
    assert exact_match(answer, prediction) == em


def test_the_best_of_several_answers_counts():
    scores = squad([["1958", "the year 1958"], "x"], ["year 1958", "y"])
    assert scores == {"f1": 50.0, "em": 50.0}


def test_each_language_and_the_mean_over_languages():
    scores = squad_by_language(["b", "a", "b", "b"], ["x", "x", "x", "x"], ["x", "y", "x", "y z"])
    assert scores["a"] == {"f1": 0.0, "em": 0.0}
    assert scores["b"]["f1"] == pytest.approx(200 / 3)
    assert scores["mean"]["f1"] == pytest.approx(100 / 3)
    assert list(scores) == ["a", "b", "mean"]
    assert list(squad_by_language([""], ["x"], ["x"])) == ["mean"]


def official(answers, prediction):
    """SQuAD v1.1's evaluation, step by step as its authors describe it."""

    def steps(text):
        text = text.lower()
        text = "".join(ch for ch in text if ch not in set(string.punctuation))
        text = re.sub(r"\b(a|an|the)\b", " ", text)
        return " ".join(text.split())

    def f1(answer):
        given, expected = steps(prediction).split(), steps(answer).split()
        same = sum((collections.Counter(given) & collections.Counter(expected)).values())
        if same == 0:
            return 0
        precision, recall = same / len(given), same / len(expected)
        return 2 * precision * recall / (precision + recall)

    return max(map(f1, answers)), max(steps(prediction) == steps(answer) for answer in answers)


WORDS = ["a", "An", "the", "THE", "x", "y.", "Z,", "-the-", "ọ", "''s", "1,958", "\n"]
texts = st.text() | st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


@given(st.lists(st.tuples(st.lists(texts, min_size=1, max_size=3), texts), min_size=1))
def test_equals_the_official_definition(rows):
    scores = squad([answers for answers, _ in rows], [prediction for _, prediction in rows])
    pairs = [official(*row) for row in rows]
    assert scores["f1"] == pytest.approx(100 * sum(f1 for f1, _ in pairs) / len(rows))
    assert scores["em"] == pytest.approx(100 * sum(em for _, em in pairs) / len(rows))


def test_the_reasoners_own_answers_score_what_the_data_says(afriqa):
    published = {"bem": 81.5, "hau": 84.2, "ibo": 88.8, "zul": 87.6}
    rows, rationales = [], {}
    for language in published:
        rows += map(json.loads, (afriqa / f"{language}.test.jsonl").read_text().splitlines())
        for line in (afriqa / f"{language}.rationales.jsonl").read_text().splitlines():
            rationales[json.loads(line)["id"]] = json.loads(line)["rationale"]
    scores = squad_by_language(
        [row["language"] for row in rows],
        [row["answer"] for row in rows],
        [rationales[row["id"]].rpartition("The answer is:")[2] for row in rows],
    )
    assert {language: round(scores[language]["f1"], 1) for language in published} == published
    assert round(scores["mean"]["f1"], 1) == 85.5
    assert scores["mean"]["em"] == 75.25


@pytest.mark.parametrize(
    ("scores", "positives", "expected"),
    [
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.5 * 1 + 0.5 * 2 / 3),  # the example of scikit-learn's page
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 0], 1.0),
        ([0.9, 0.8, 0.7, 0.6], [0, 0, 1, 1], 0.5 * 1 / 3 + 0.5 * 2 / 4),
        ([0.5, 0.5, 0.5, 0.2], [1, 0, 0, 1], 0.5 * 1 / 3 + 0.5 * 2 / 4),  # ties come together
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 0], 0.25),
        ([0.3, 0.6], [0, 0], 0.0),
    ],
)
def test_average_precision_is_the_sum_of_precision_by_gain_of_recall(scores, positives, expected):
    assert average_precision(scores, [bool(one) for one in positives]) == pytest.approx(expected)
    assert average_precision(scores[::-1], positives[::-1]) == pytest.approx(expected)
