"""Rationales judged, one by one and together."""

from collections.abc import Sequence

from fiat_jax.reasoning.quality import Judged, Written, by_language, holds, judge, lines, summarise

MARKER = "The answer is:"
PASSAGE = "The novel Things Fall Apart was written by Chinua Achebe in 1958."


def metric(answers: Sequence[str], prediction: str, language: str) -> dict[str, float]:
    return {"em": 100.0 * (prediction in answers)}


def size(text: str) -> tuple[int, int]:
    return len(text.split()), text.count("ọ")


def judged(text: str, language: str = "", **known: object) -> Judged:
    return judge(Written("x", language, text, PASSAGE, **known), MARKER, size, metric)  # type: ignore[arg-type]


def test_a_rationale_is_judged_by_passage_label_and_length() -> None:
    one = judged("It says Chinụa ọ. The answer is: Chinua Achebe", answers=("Achebe", "Chinua Achebe"))
    assert (one.answer, one.repaired, one.in_passage, one.scores) == (
        "Chinua Achebe",
        False,
        True,
        {"em": 100.0},
    )
    assert (one.tokens, one.unknown) == (9, 1)


def test_without_label_answer_or_passage_nothing_is_said_of_them() -> None:
    assert judged("The answer is: Lagos").scores == {}
    assert judged("no idea").in_passage is None
    assert judge(Written("x", "", "The answer is: 7"), MARKER, size, metric).in_passage is None


def test_an_answer_is_in_the_passage_as_whole_words_in_any_case() -> None:
    assert holds(PASSAGE, "things fall apart") and holds(PASSAGE, "1958.")
    assert not holds(PASSAGE, "all apart") and not holds(PASSAGE, "195")
    assert holds("藤野沙世は松江市に生まれた。", "松江市")


def test_a_summary_counts_what_there_is_and_takes_shares_of_that() -> None:
    found = summarise(
        [
            judged("The answer is: 1958", answers=("1958",), cut=False),
            judged("the answer is Lagos", answers=("1958",), cut=False),
            judged("no idea at all", answers=("1958",), cut=True),
            judged("", answers=("1958",)),
        ]
    )
    assert (found.examples, found.empty, found.answered, found.repaired, found.cut) == (4, 1, 2, 1, 1)
    assert (found.placed, found.in_passage) == (2, 1)
    assert (found.tokens, found.most_tokens, found.mean_tokens) == (12, 4, 4.0)
    assert found.scores == {"em": 100 / 3}
    cells = found.cells()
    assert (cells["answer %"], cells["repaired %"], cells["in passage %"], cells["EM"]) == (
        "66.7",
        "50.0",
        "50.0",
        "33.3",
    )


def test_what_is_not_known_is_shown_as_a_dash() -> None:
    cells = summarise([judged("")]).cells()
    assert (cells["cut"], cells["answer %"], cells["in passage %"], cells["unk %"]) == ("-", "-", "-", "-")
    assert "EM" not in cells


def test_languages_are_apart_and_together() -> None:
    both = by_language([judged("The answer is: 1958", "hau"), judged("", "zul")])
    assert {name: (one.examples, one.empty) for name, one in both.items()} == {
        "hau": (1, 0),
        "zul": (1, 1),
        "all": (2, 1),
    }
    assert list(by_language([judged("", "hau")])) == ["all"]


def test_a_table_has_a_column_for_what_any_row_has() -> None:
    assert lines([{"n": "1", "EM": "50.0"}, {"n": "10"}], ["a", "all"]) == [
        "      n    EM",
        "a     1  50.0",
        "all  10      ",
    ]
