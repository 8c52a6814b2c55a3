import collections
import json
import re
import string
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat_jax.data.metrics import METRICS
from fiat_jax.data.metrics.places import Places
from fiat_jax.data.metrics.text import exact_match, f1_score, normalize, normalize_in

squad, mlqa = METRICS["squad"], METRICS["mlqa"]


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
        ("No Answer", "the answer", 2 / 3, 0.0),  # scored as any other tokens
        ("a-b", "ab", 1.0, 1.0),  # punctuation goes before articles do
        ("1958", "1959", 0.0, 0.0),
        ("", "", 0.0, 1.0),
        ("the", "a", 0.0, 1.0),
        ("", "x", 0.0, 0.0),
        ("রবীন্দ্রনাথ ঠাকুর", "ঠাকুর।", 0.0, 0.0),  # the Bengali full stop is no ASCII
    ],
)
def test_rules_of_the_two_scores(answer, prediction, f1, em):
    assert f1_score(answer, prediction) == pytest.approx(f1)
    assert exact_match(answer, prediction) == em


def test_the_best_of_several_answers_counts():
    assert squad([["1958", "the year 1958"], "x"], ["year 1958", "y"]) == {"f1": 50.0, "em": 50.0}


def official(answers, prediction):
    """SQuAD v1.1's evaluation, step by step as its authors describe it."""

    def steps(text):
        text = text.lower()
        text = "".join(ch for ch in text if ch not in set(string.punctuation))
        text = re.sub(r"\b(a|an|the)\b", " ", text)
        return " ".join(text.split())

    return best_of(steps, answers, prediction)


def best_of(steps, answers, prediction):
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
    given = [rationales[row["id"]].rpartition("The answer is:")[2] for row in rows]
    places = Places([row["language"] for row in rows], {})
    scores = places.scores(
        [*squad.labels],
        {
            language: squad.prepare([rows[at]["answer"] for at in own], [given[at] for at in own], language)
            for language, own in places.rows.items()
        },
    )
    assert {language: round(scores[f"{language}/f1"], 1) for language in published} == published
    assert round(scores["f1"], 1) == 85.5
    assert scores["em"] == 75.25


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "The U.S. “Army” – a force", "us army force"),  # noqa: RUF001
        ("es", "La Casa de los Espíritus", "casa de espíritus"),
        ("de", "Der Fluß des Königs", "fluß königs"),
        ("vi", "những ngôi nhà của tôi", "ngôi nhà tôi"),
        ("hi", "भारत के राष्ट्रपति।", "भारत के राष्ट्रपति"),
        ("ar", "الكتاب، سالم", "كتاب س م"),  # the article goes inside words too
        ("zh", "在1958年的New York。", "在 1958 年 的 new york"),
        ("ja", "東京タワー 1958", "東 京 タ ワ ー 1958"),
        ("th", "ไป 10", "ไ ป 10"),
        ("bn", "the নদী, ।", "the নদী"),  # no articles are known
        ("", "the river", "the river"),
    ],
)
def test_mlqas_rules_of_each_language(language, text, expected):
    assert normalize_in(text, language) == expected


def test_where_there_are_no_spaces_characters_are_compared():
    assert mlqa(["北京大学"], ["北京"], "zh") == {"mlqa_f1": pytest.approx(200 / 3), "mlqa_em": 0.0}
    assert squad(["北京大学"], ["北京"]) == {"f1": 0.0, "em": 0.0}


EVERY_MARK = {chr(i) for i in range(sys.maxunicode) if unicodedata.category(chr(i))[0] == "P"}
EVERY_MARK |= set(string.punctuation)
ARTICLES = {"en": r"\b(a|an|the)\b", "es": r"\b(un|una|unos|unas|el|la|los|las)\b", "zh": None, "hi": None}


def official_in(language, answers, prediction):
    """MLQA's evaluation, step by step: it goes through Chinese text a character at a time."""

    def steps(text):
        text = "".join(ch for ch in text.lower() if ch not in EVERY_MARK)
        if ARTICLES[language]:
            text = re.sub(ARTICLES[language], " ", text)
        if language != "zh":
            return " ".join(text.split())
        words, word = [], ""
        for ch in text:
            if "\u4e00" <= ch <= "\u9fa5":
                words += [*word.split(), ch]
                word = ""
            else:
                word += ch
        return " ".join(words + word.split())

    return best_of(steps, answers, prediction)


MORE = [*WORDS, "el", "la", "北京", "大学1958年", "。", "नदी।", "¿qué?"]
more = st.text(max_size=8) | st.lists(st.sampled_from(MORE), max_size=6).map(" ".join)


@given(st.sampled_from([*ARTICLES]), st.lists(more, min_size=1, max_size=3), more)
def test_equals_mlqas_definition(language, answers, prediction):
    f1, em = official_in(language, answers, prediction)
    expected = {"mlqa_f1": pytest.approx(100 * f1), "mlqa_em": 100.0 * em}
    assert mlqa([answers], [prediction], language) == expected
