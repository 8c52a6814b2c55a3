"""Relative position buckets, by the promises that T5 makes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fiat_jax.models.attention import attend, expand_bias, relative_buckets, relative_distances

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


@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (3, 7), (7, 3), (1, 9), (1, 1)])
def test_a_bias_by_distance_is_expanded_to_that_of_every_query_and_key(queries, keys):
    by_distance = relative_distances(queries, keys)
    expected = np.arange(keys)[None] - np.arange(queries)[:, None]
    expanded = expand_bias(jnp.stack([by_distance, 10 * by_distance]), queries)
    np.testing.assert_array_equal(expanded, [[expected, 10 * expected]])


def test_what_flows_back_to_a_distance_is_the_sum_over_its_diagonal():
    weights = np.random.default_rng(0).normal(size=(1, 2, 4, 6)).astype(np.float32)
    flowed = jax.grad(lambda b: (expand_bias(b, 4) * weights).sum())(jnp.zeros((2, 10)))
    for distance, found in zip(np.asarray(relative_distances(4, 6)), np.asarray(flowed).T, strict=True):
        expected = np.trace(weights[0], offset=distance, axis1=1, axis2=2)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("parts", [2, 6, 12])
def test_attention_in_parts_is_and_learns_as_all_at_once(parts):
    random = np.random.default_rng(0)
    query, key, value = (random.normal(size=(2, k, 6, 8)).astype(np.float32) for k in (5, 9, 9))
    by_distance = random.normal(size=(6, 5 + 7)).astype(np.float32)  # the first two keys are a prefix
    mask = np.arange(9) < np.array([9, 6])[:, None]

    def total(parts, *heads):
        return (attend(*heads, mask[:, None, None], parts) ** 2).sum()

    whole, expected = jax.value_and_grad(total, (1, 2, 3, 4))(1, query, key, value, by_distance)
    found, gradients = jax.value_and_grad(total, (1, 2, 3, 4))(parts, query, key, value, by_distance)
    np.testing.assert_allclose(found, whole, rtol=1e-6)
    for one, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_prefix_has_no_bias():
    ones = jnp.ones((1, 3, 1, 2))
    bias = jnp.full((1, 1 + 2), jnp.log(2.0))  # of the last two keys: each weighs twice what the first does
    seen = attend(ones[:, :1], ones, jnp.arange(3.0)[None, :, None, None] * ones, bias, None)
    np.testing.assert_allclose(seen[0, 0, 0], (0 + 2 * 1 + 2 * 2) / 5, rtol=1e-6)
