"""XTREME-UP's rules of means, and where scores stand."""

import pytest

from fiat_jax.data.metrics import METRICS
from fiat_jax.data.metrics.places import OVERALL, Places

SQUAD = METRICS["squad"]


def scored(places, targets, predictions):
    prepared = {
        one: SQUAD.prepare([targets[at] for at in rows], [predictions[at] for at in rows], one)
        for one, rows in places.rows.items()
    }
    return places.scores([*SQUAD.labels], prepared) | places.counts()


def test_each_language_and_the_mean_over_languages_however_many_examples_they_have():
    places = Places(["b", "a", "b", "b"], {})
    scores = scored(places, ["x"] * 4, ["x", "y", "x", "y z"])
    assert scores["a/f1"] == 0.0 and scores["b/f1"] == pytest.approx(200 / 3)
    assert scores["f1"] == pytest.approx(100 / 3)
    assert (scores["a/n"], scores["b/n"], scores["n"]) == (1, 3, 4)


def test_examples_without_a_language_are_one_more_in_the_mean_and_have_no_name():
    scores = scored(Places(["", "a", ""], {}), ["x"] * 3, ["x", "y", "y"])
    assert scores == {"a/f1": 0.0, "a/em": 0.0, "f1": 25.0, "em": 25.0, "a/n": 1, "n": 3}
    assert [*scored(Places([""], {}), ["x"], ["x"])] == ["f1", "em", "n"]


def test_xtreme_ups_overall_score_is_the_mean_of_the_under_represented_languages():
    languages = ["bn", "te", "as", "hi", "ar", "bn", "ko"]
    predictions = ["x", "x", "y", "y", "y", "y", "x"]
    indic, full = ("bn", "te", "as", "hi"), ("bn", "te", "as", "hi", "ar", "ko")
    places = Places(languages, {OVERALL: ("bn", "te", "as"), "Indic": indic, "Full": full})
    scores = scored(places, ["x"] * 7, predictions)
    assert scores["f1"] == pytest.approx((50 + 100 + 0) / 3)
    assert scores["Indic/f1"] == pytest.approx((50 + 100 + 0 + 0) / 4)
    assert scores["Full/f1"] == pytest.approx((50 + 100 + 0 + 0 + 0 + 100) / 6)
    assert (scores["n"], scores["Indic/n"], scores["Full/n"]) == (4, 5, 7)
    assert [*places.languages] == ["ar", "as", "bn", "hi", "ko", "te", "Indic", "Full", OVERALL]


def test_the_interval_of_a_mean_over_languages_is_as_theory_has_it():
    languages = ["a"] * 100 + ["b"] * 400
    right = [at % 4 == 0 for at in range(500)]
    predictions = ["x" if one else "y" for one in right]
    places = Places(languages, {})
    prepared = {
        one: SQUAD.prepare(["x"] * len(rows), [predictions[at] for at in rows], one)
        for one, rows in places.rows.items()
    }
    found = places.intervals([*SQUAD.labels], prepared)
    variance = 0.25 * 0.75
    for place, error in {
        "a/": (variance / 100) ** 0.5,
        "b/": (variance / 400) ** 0.5,
        "": ((variance / 100 + variance / 400) / 4) ** 0.5,
    }.items():
        assert found[f"{place}em_low"] == pytest.approx(25 - 196 * error, abs=0.8)
        assert found[f"{place}em_high"] == pytest.approx(25 + 196 * error, abs=0.8)
