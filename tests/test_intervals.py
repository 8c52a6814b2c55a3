"""The bootstrap, against theory and itself."""

import numpy as np
import pytest
from scipy import stats

from fiat_jax.intervals import bootstrap


def test_the_interval_of_a_mean_is_scipys():
    values = np.random.default_rng(1).normal(size=300)
    low, high = bootstrap(lambda counts: counts[0] @ values / 300, [300], seed=0)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=0).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_each_stratum_keeps_its_size_and_the_shape_is_that_of_the_scores():
    def sizes(counts):
        assert all((count == count.round()).all() for count in counts)
        return np.array([[count.sum() for count in counts]])

    low, high = bootstrap(sizes, [3, 7], seed=0)
    assert low.tolist() == high.tolist() == [[3.0, 7.0]]


def test_the_draws_follow_from_the_seed():
    values = np.arange(20.0)
    one, same, other = (bootstrap(lambda counts: counts[0] @ values, [20], seed=n) for n in (0, 0, 1))
    assert one == same != other
