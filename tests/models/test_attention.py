"""Relative position buckets, by the promises that T5 makes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fiat_jax.models.attention import expand_bias, relative_buckets, relative_distances

T5 = {"num_buckets": 32, "max_distance": 128}
DISTANCES = jnp.arange(-300, 301)


def test_near_distances_have_a_bucket_each_and_far_ones_share_the_last():
    buckets = np.asarray(relative_buckets(DISTANCES, bidirectional=True, **T5))
    before, after = buckets[:300][::-1], buckets[301:]
    assert list(before[:7]) == list(range(1, 8)) and list(after[:7]) == list(range(17, 24))
    assert set(before[127:]) == {15} and set(after[127:]) == {31}


def test_buckets_grow_with_distance():
    buckets = np.asarray(relative_buckets(-jnp.arange(300), bidirectional=False, **T5))
    assert (np.diff(buckets) >= 0).all() and (buckets[0], buckets[-1]) == (0, 31)


def test_a_decoder_sees_all_later_keys_in_bucket_0():
    assert not np.asarray(relative_buckets(jnp.arange(1, 50), bidirectional=False, **T5)).any()


@pytest.mark.parametrize(
    ("first", "queries", "keys"), [(0, 5, 5), (0, 3, 7), (0, 7, 3), (4, 1, 9), (0, 1, 1)]
)
def test_a_bias_by_distance_is_expanded_to_that_of_every_query_and_key(first, queries, keys):
    by_distance = relative_distances(first, queries, keys)
    expected = np.arange(keys)[None] - (first + np.arange(queries))[:, None]
    expanded = expand_bias(jnp.stack([by_distance, 10 * by_distance]), queries)
    np.testing.assert_array_equal(expanded, [[expected, 10 * expected]])


def test_what_flows_back_to_a_distance_is_the_sum_over_its_diagonal():
    weights = np.random.default_rng(0).normal(size=(1, 2, 4, 6)).astype(np.float32)
    flowed = jax.grad(lambda b: (expand_bias(b, 4) * weights).sum())(jnp.zeros((2, 10)))
    for distance, found in zip(np.asarray(relative_distances(0, 4, 6)), np.asarray(flowed).T, strict=True):
        expected = np.trace(weights[0], offset=distance, axis1=1, axis2=2)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
