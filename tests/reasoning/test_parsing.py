"""The answer at the end of a rationale, given as asked or nearly so."""

import pytest

from fiat_jax.reasoning.parsing import parse

MARKER = "The answer is:"
TEXT = "The town library closes for six weeks in March. Then it opens again with a new roof."


@pytest.mark.parametrize(
    ("rationale", "answer"),
    [
        ("It says so. The answer is: Chinua Achebe", "Chinua Achebe"),
        ("The answer is: Washington D.C.", "Washington D.C."),
        ("The answer is: St. Louis Cardinals baseball team", "St. Louis Cardinals baseball team"),
        ("The answer is: J. R. R. Tolkien", "J. R. R. Tolkien"),
        ("The answer is: Martin Luther King Jr.", "Martin Luther King Jr."),
        ("The answer is: -5", "-5"),
        ("The answer is: 3.5", "3.5"),
        ("The answer is: £10 million (€12 million)", "£10 million (€12 million)"),
        ('The answer is: He said "no"', 'He said "no"'),
        ("The answer is: one\nThe answer is: two", "two"),
        ("the answer is not easy. The answer is: 7", "7"),
        ("The answer is: 東京\n", "東京"),
        ("The answer is: 'ore' or 'smelting'", "'ore' or 'smelting'"),
        ("The answer is: around 4.54 billion years ago", "around 4.54 billion years ago"),
        (f"The answer is: {TEXT}", TEXT),
    ],
)
def test_an_answer_given_as_asked_needs_no_repair(rationale: str, answer: str) -> None:
    assert parse(rationale, MARKER)[:2] == (answer, False)


@pytest.mark.parametrize(
    ("rationale", "answer"),
    [
        ("so THE ANSWER IS: Lagos", "Lagos"),
        ("So the answer is Lagos", "Lagos"),
        ("The answer is - Lagos", "Lagos"),
        ("The answer is -5", "-5"),
        ("The  answer   is : Lagos", "Lagos"),
        ("**The answer is:** Lagos", "Lagos"),
        ("**The answer is**: Lagos", "Lagos"),
        ("The answer is: **Lagos**", "Lagos"),
        ("The answer is: `Lagos`", "Lagos"),
        ('The answer is: "Lagos".', "Lagos"),
        ("The answer is: \u201cLagos\u201d", "Lagos"),
        ("The answer is: 'Lagos.'", "Lagos"),
        ("The answer is: Lagos.", "Lagos"),
        ("The answer is: yes.", "yes"),
        ("The answer is: 1967।", "1967"),
        ("The answer is:\n\nLagos", "Lagos"),
        ("The answer is: Lagos\nI hope this helps!", "Lagos"),
        ("The answer is: Lagos. The passage says so clearly.", "Lagos"),
        ("The answer is: 2016. That is when it was built.", "2016"),
        ("It is there.\nAnswer: Lagos", "Lagos"),
        ("It is there.\n**Final answer:** Lagos", "Lagos"),
        ("Hence, the correct answer is Lagos.", "Lagos"),
    ],
)
def test_an_answer_given_nearly_so_is_found_and_counted_as_repaired(rationale: str, answer: str) -> None:
    assert parse(rationale, MARKER)[:2] == (answer, True)


@pytest.mark.parametrize(
    "rationale",
    [
        "",
        "It says so.",
        "The answer is:",
        "The answer is: **",
        "The passage answers it: Lagos",
        "Answering: x",
    ],
)
def test_where_there_is_no_answer_none_is_made_up(rationale: str) -> None:
    assert parse(rationale, MARKER) == (None, False, rationale.strip())


def test_the_reasoning_is_what_comes_before() -> None:
    assert parse("It says so. The answer is: Lagos", MARKER).reasoning == "It says so."
    assert parse("It says so.\n**The answer is** Lagos", MARKER).reasoning == "It says so."


def test_markers_of_ones_own_are_found_strictly_and_nearly() -> None:
    assert parse("weil. Antwort: 12", "Antwort:")[:2] == ("12", False)
    assert parse("weil. *antwort* = 12.", "Antwort:")[:2] == ("12", True)
    assert parse("a.b axb c", "a.b")[:2] == ("axb c", False)
