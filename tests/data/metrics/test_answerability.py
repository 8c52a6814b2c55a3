import pytest
from sklearn.metrics import accuracy_score, f1_score

from fiat_jax.data.metrics import METRICS
from fiat_jax.data.metrics.answerability import says_none

answerability = METRICS["answerability"]


@pytest.mark.parametrize("text", ["No Answer", "no answer.", " NO ANSWER ", "the no answer", "", "?"])
def test_no_answer_is_known_in_any_case_and_punctuation(text):
    assert says_none(text)


@pytest.mark.parametrize("text", ["no", "answer", "No Answers", "unknown", "উত্তর নেই"])
def test_what_says_something_is_an_answer(text):
    assert not says_none(text)


def test_a_wrong_answer_to_an_answerable_question_is_answered_all_the_same():
    targets = ["No Answer", "No Answer", "Lagos", ["No Answer", "1958"], "Abuja"]
    predictions = ["no answer", "Lagos", "Abuja", "1958", "No Answer."]
    none, said = [1, 1, 0, 0, 0], [1, 0, 0, 0, 1]
    assert answerability(targets, predictions) == {
        "answerability": pytest.approx(100 * accuracy_score(none, said)),
        "no_answer_f1": pytest.approx(100 * f1_score(none, said)),
    }


def test_where_every_question_has_an_answer_none_is_found():
    assert answerability(["x", "y"], ["x", "z"]) == {"answerability": 100.0, "no_answer_f1": 0.0}
