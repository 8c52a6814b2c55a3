"""Examples of one set that stand in another."""

import random
import time

import pytest

from fiat_jax.reasoning.overlap import Sketch, overlap
from fiat_jax.study.inspection import near
from fiat_jax.study.inspection.near import twins


def texts(count, seed, words=9):
    draw = random.Random(seed)
    known = ["".join(draw.choices("abcdefghijklmnoprstuvw", k=draw.randint(2, 9))) for _ in range(2000)]
    return [
        {"question": " ".join(draw.choices(known, k=words)), "context": " ".join(draw.choices(known, k=20))}
        for _ in range(count)
    ]


def leaky(left, right):
    """The right with some of the left in it: the same, longer, cut short, and with a field left empty."""
    for at in range(10):
        question, context = left[at]["question"], left[at]["context"]
        right[4 * at] = {"question": f"{question} ", "context": context}
        right[4 * at + 1] = {"question": f"{question} now?", "context": context[:60]}
        right[4 * at + 2] = {"question": question[: 5 * at], "context": context}
        right[4 * at + 3] = {"question": question[:30], "context": context}
    return right


@pytest.mark.parametrize("sampled", [False, True])
def test_what_is_found_is_what_comparing_all_pairs_finds(sampled, monkeypatch):
    left, right = texts(60, 1), leaky(texts(60, 1), texts(60, 2))
    if sampled:
        monkeypatch.setattr(near, "MOST_GRAMS", 4000)
    ours, theirs = ([Sketch(fields) for fields in side] for side in (left, right))
    every = {at: max(overlap(one, other) for one in ours) for at, other in enumerate(theirs)}
    found = twins(left, right, 0.8)
    shares = dict.fromkeys(found.exact, 1.0) | {at: twin.share for at, twin in found.near.items()}
    assert shares == {at: share for at, share in every.items() if share >= 0.8}
    assert len(found.exact) == 10 and len(found.near) > 20 and found.compared_all


def test_the_same_text_is_exact_and_other_marks_are_near():
    found = twins([{"q": "Who  wrote it?"}], [{"q": "Who wrote\nit?"}, {"q": "who wrote it"}], 0.8)
    assert found.exact == {0: 0} and found.near == {1: (0, 1.0)}


def test_sums_that_differ_in_a_sign_are_not_the_same_text():
    assert not twins([{"q": "3 + 4"}], [{"q": "3 - 4"}], 0.8).exact


def test_what_is_not_compared_is_said(monkeypatch):
    monkeypatch.setattr(near, "MOST_PAIRS", 5)
    alike = [{"q": f"the very same question of all the others {n}"} for n in range(40)]
    assert not twins(alike[:20], alike[20:], 0.8).compared_all


@pytest.mark.slow
def test_ten_thousand_rows_against_ten_thousand_take_seconds():
    left, right = texts(10_000, 1), texts(10_000, 2)
    right[:500] = [fields | {"question": f"{fields['question']} now"} for fields in left[:500]]
    start = time.process_time()
    assert len(twins(left, right, 0.8).near) == 500
    assert time.process_time() - start < 20
