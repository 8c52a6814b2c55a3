"""The miniature world: what its data and its lessons promise."""

import re
from collections import Counter

import pytest

from fiat_jax.miniature.language import LEXICONS, PEOPLE, WARES
from fiat_jax.miniature.lessons import LESSONS, TRANSLATE
from fiat_jax.miniature.pretrain import COUNT
from fiat_jax.miniature.world import FACTS, splits

FOREIGN = {word for lexicon in LEXICONS.values() for word in lexicon.values()}
ASKING = {lexicon["what"] for lexicon in LEXICONS.values()}


@pytest.fixture(scope="module")
def lessons():
    """All lessons of each model, each as its text and its answer."""
    return {
        name: [(row["text"], row["answer"]) for course in courses for row in course(COUNT)]
        for name, courses in LESSONS.items()
    }


def words(text):
    return set(re.findall(r"\w+", text))


def test_the_world_is_the_same_each_time_and_no_question_is_in_two_splits():
    rows = splits()
    assert rows == splits()
    asked = {name: {(row["language"], row["question"]) for row in some} for name, some in rows.items()}
    assert not asked["train"] & asked["test"] and not (asked["train"] | asked["test"]) & asked["new"]
    ids = [row["id"] for some in rows.values() for row in some]
    assert len(set(ids)) == len(ids)
    assert all("answer" not in row for row in rows["new"])


def test_nothing_but_the_word_for_the_people_tells_which_ware_of_the_passage_is_asked_for():
    for row in splits()["test"]:
        said = Counter(re.findall(r"\w+", row["context"]))
        assert sorted(said.values()) == [1] * 2 * FACTS + [FACTS]  # people and wares, and the one verb
        assert row["answer"] in said and row["answer"] in WARES
        assert len(words(row["question"]) & FOREIGN) == 3 and not words(row["question"]) - FOREIGN


def test_no_word_belongs_to_two_languages():
    english = {word for row in splits()["train"] for word in words(row["context"])} | set(PEOPLE)
    assert len(FOREIGN) == sum(len(lexicon) for lexicon in LEXICONS.values())
    assert not FOREIGN & english


def test_no_pretraining_has_the_target_task(lessons):
    """Where a question for a ware is in an invented language, all that stands with it is its translation."""
    asking = [one for some in lessons.values() for one in some if ASKING & (words(one[0]) | words(one[1]))]
    assert asking
    for text, answer in asking:
        before, question = text.split("question: ")
        assert before.strip() == TRANSLATE and len(words(question)) == 3
        assert re.fullmatch(r"\w+ \w+ what\?", answer)


def test_the_tuned_model_saw_no_word_of_an_invented_language(lessons):
    assert not any(FOREIGN & (words(text) | words(answer)) for text, answer in lessons["tuned"])


def test_the_reasoner_never_saw_some_words_of_the_rarest_languages(lessons):
    seen = {word for text, _ in lessons["reasoner"] for word in words(text)}
    known = {name: len(seen & set(lexicon.values())) / len(lexicon) for name, lexicon in LEXICONS.items()}
    assert known["vel"] == known["tok"] == known["nam"] == 1 > known["dug"] > known["fex"] > 0
