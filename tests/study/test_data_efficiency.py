"""How many examples one paradigm needs to reach another: curves that are known, and what is said of them."""

import math

import numpy as np
import pytest
from scipy import optimize
from simulated_scores import normal, runs

from fiat_jax.errors import ConfigError
from fiat_jax.study.statistics import data_needed, fit, learning_curve, needed

SIZES = (100, 300, 1000, 3000)


def curve(n, limit=80.0, drop=40.0, rate=0.5):
    return limit - drop * (n / 100) ** -rate


def tuned(chance=0.0, sizes=SIZES, seeds=3):
    """A paradigm whose mean scores lie on the curve."""
    noise = normal(1, len(sizes), seeds, 50, mean=0, sd=1)
    noise -= noise.mean((1, 2), keepdims=True)
    return [
        runs(*(curve(size) + chance * each), paradigm="fine-tuning", regime=size)
        for size, each in zip(sizes, noise, strict=True)
    ]


def goal(score, **more):
    return runs(*np.full((3, 50), score), **more)


@pytest.mark.parametrize("shape", [(80.0, 40.0, 0.5), (100.0, 30.0, 0.1), (60.0, 5.0, 1.5)])
def test_a_curve_is_found_again(shape):
    scores = np.array([[curve(size, *shape) for size in SIZES]])
    found = fit(SIZES, scores, top=100.0)
    assert found.at(700)[0] == pytest.approx(curve(700, *shape), abs=0.05)
    assert found.reaches(np.array([curve(700, *shape)]))[0] == pytest.approx(700, rel=0.02)


def test_no_curve_falls_or_rises_above_the_best_possible_score():
    scores = np.array([[70, 60, 50, 40.0], [10, 40, 70, 100.0], [50, 50, 50, 50.0]])
    found = fit(SIZES, scores, top=100.0)
    assert (found.drop >= 0).all() and (found.limit <= 100).all()
    assert found.at(100)[0] == found.at(3000)[0] == pytest.approx(55)
    assert found.reaches(np.array([60.0, 50.0, 60.0])).tolist() == [
        math.inf,
        pytest.approx(400, abs=200),
        math.inf,
    ]


def test_a_fit_is_the_best_that_scipy_finds():
    scores = np.array([40.0, 55.0, 71.0, 74.0])
    ours = fit(SIZES, scores[None], top=100.0)
    theirs, _ = optimize.curve_fit(curve, np.array(SIZES, float), scores, p0=(80, 40, 0.5))
    least = sum((curve(np.array(SIZES), *theirs) - scores) ** 2)
    assert sum((np.array([ours.at(n)[0] for n in SIZES]) - scores) ** 2) == pytest.approx(least, rel=0.01)


def test_what_is_needed_is_solved_for_with_its_interval():
    found = needed(tuned(chance=8.0), goal(curve(700)))
    assert found.examples == pytest.approx(700, rel=0.02)
    assert 300 < found.low < 700 < found.high < 3000
    assert found.misses < 0.05
    assert data_needed(found).startswith("fine-tuning needs 70")
    assert "examples to reach FIAT at 300 examples, 64.9 F1" in data_needed(found)
    assert needed(tuned(chance=16.0), goal(curve(700))).high > found.high


def test_nothing_is_read_off_beyond_the_sizes_that_were_measured():
    found = needed(tuned(chance=1.0), goal(curve(5000)))
    assert found.examples == found.high == math.inf
    assert "needs more than 3,000 examples to reach" in data_needed(found)
    assert "F1 (more than 3,000, n = 50, 3 seeds; measured from 100 to 3,000" in data_needed(found)
    found = needed(tuned(chance=30.0), goal(curve(2000)))
    assert 100 < found.low < found.examples < 3000 and found.high == math.inf
    assert f"({found.low:,.0f} to more than 3,000, n" in data_needed(found)
    found = needed(tuned(chance=1.0), goal(curve(50)))
    assert (found.examples, found.low) == (0, 0)
    assert "needs fewer than 100 examples" in data_needed(found)


def test_a_curve_that_fits_badly_says_by_how_much():
    bent = [
        runs(*np.full((3, 50), score), paradigm="x", regime=size)
        for size, score in zip(SIZES, (40, 40, 40, 70), strict=True)
    ]
    found = needed(bent, goal(50.0))
    assert found.misses > 5
    assert f"misses a mean by {found.misses:.1f} F1 at most" in data_needed(found)


@pytest.mark.parametrize(
    "several",
    [
        tuned(sizes=(100, 300)),
        [*tuned()[:3], runs(*normal(0, 3, 50))],
        [*tuned()[:3], runs([1, 2], regime=None)],
    ],
)
def test_a_curve_needs_one_paradigm_at_three_sizes(several):
    with pytest.raises(ConfigError, match="one paradigm at three or more numbers of training examples"):
        needed(several, goal(60.0))


def test_a_learning_curve_has_its_band():
    rows = learning_curve(tuned(chance=8.0)[::-1], points=9)
    assert [rows[0][0], rows[-1][0]] == pytest.approx([100, 3000])
    for size, score, low, high in rows:
        assert score == pytest.approx(curve(size), abs=0.1)
        assert low < score < high
