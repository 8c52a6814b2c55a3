"""How alike two examples are."""

import time

import pytest

from fiat_jax.reasoning import Prompt
from fiat_jax.reasoning.overlap import Sketch, overlap

PASSAGE = "The old organ was beyond repair by 1860. The parish could not afford another, so it stayed silent."
QUESTION = "Who paid for the new organ of the parish church?"


def alike(one: dict[str, str], other: dict[str, str]) -> float:
    return overlap(Sketch(one), Sketch(other))


@pytest.mark.parametrize(
    "changed",
    [
        QUESTION.upper(),
        f"  {QUESTION.replace(' ', '  ')} ",
        QUESTION.rstrip("?"),
        QUESTION.replace("church", "church's"),
        QUESTION.replace("new", "newer"),
    ],
)
def test_case_marks_white_space_and_small_changes_leave_an_example_the_same(changed: str) -> None:
    assert alike({"q": QUESTION, "c": PASSAGE}, {"q": changed, "c": PASSAGE}) > 0.8


@pytest.mark.parametrize(
    "other",
    ["When was the tower of the parish church built?", "Who played it?", "Nani alilipia kinanda kipya?"],
)
def test_another_question_on_the_same_passage_is_another_example(other: str) -> None:
    assert alike({"q": QUESTION, "c": PASSAGE}, {"q": other, "c": PASSAGE}) < 0.6


def test_a_passage_that_was_cut_is_the_same() -> None:
    assert alike({"q": QUESTION, "c": PASSAGE}, {"q": QUESTION, "c": PASSAGE[:60]}) > 0.9


def test_a_field_that_one_of_them_lacks_does_not_count() -> None:
    assert alike({"q": QUESTION, "t": ""}, {"q": QUESTION, "t": "Organ", "c": PASSAGE}) == 1.0
    assert alike({"q": QUESTION}, {"c": PASSAGE}) == 0.0


def test_short_texts_that_differ_in_a_letter_are_two() -> None:
    assert alike({"q": "question 4"}, {"q": "question 5"}) < 0.8
    assert alike({"q": "?"}, {"q": "!"}) == 0.0


def test_scripts_without_spaces_are_compared_too() -> None:
    assert (
        alike({"q": "画家の藤野沙世はどこで生まれましたか"}, {"q": "画家の藤野沙世はどこで生まれたか"}) > 0.6
    )
    assert alike({"q": "画家の藤野沙世はどこで生まれましたか"}, {"q": "青川線はいつ開業しましたか"}) < 0.4


def test_ten_thousand_rows_take_seconds() -> None:
    rows = [
        {"id": str(n), "q": f"Who paid for organ {n * 7919} of {n}?", "c": PASSAGE * 8} for n in range(10_000)
    ]
    exemplars = tuple({"q": f"What is number {n}?", "c": PASSAGE * 8, "rationale": "r"} for n in range(16))
    prompt = Prompt("{c} {q}", exemplars=exemplars)
    worked, start = prompt.worked(), time.process_time()
    assert sum(1 for _ in prompt.apart(rows, worked, "test")) == 10_000
    assert time.process_time() - start < 10
