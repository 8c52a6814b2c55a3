"""Relative position buckets, by the promises that T5 makes of them."""

import jax.numpy as jnp
import numpy as np

from fiat_jax.models.attention import position_bias, relative_buckets

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


def test_the_bias_of_one_query_is_its_row_of_the_whole():
    table = jnp.asarray(np.random.default_rng(0).normal(size=(32, 4)))
    whole = position_bias(table, jnp.arange(50), 50, bidirectional=False, **T5)
    row = position_bias(table, jnp.array([17]), 50, bidirectional=False, **T5)
    np.testing.assert_array_equal(row[:, :, 0], whole[:, :, 17])
