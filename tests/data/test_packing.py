"""Examples that share rows: each is there once, whole, and told apart from the others."""

import numpy as np
import pytest
from data.test_batches import BUCKETS, examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat_jax.data.batches import TrainBatches
from fiat_jax.data.packing import packed

pairs = st.lists(st.tuples(st.integers(1, 32), st.integers(1, 9)), min_size=1, max_size=40)


def segments(batch, name):
    """The parts of all rows."""
    return [
        (row, one, tuple(tokens[ids == one].tolist()))
        for row, (tokens, ids) in enumerate(zip(batch[name], batch[f"{name}_segments"], strict=True))
        for one in range(1, ids.max() + 1)
    ]


@settings(deadline=None)
@given(pairs, st.integers(1, 4))
def test_every_example_is_in_one_row_whole_with_its_target_in_the_same_segment(lengths, multiple):
    data = examples([one for one, _ in lengths], [one for _, one in lengths])
    batch = packed(data.inputs, data.targets, (32, 12), multiple, 0)
    assert len(batch["inputs"]) % multiple == 0
    inputs, targets = segments(batch, "inputs"), segments(batch, "targets")
    assert [one[:2] for one in inputs] == [one[:2] for one in targets]
    found = sorted((i, t) for (*_, i), (*_, t) in zip(inputs, targets, strict=True))
    ours = zip(data.inputs, data.targets, strict=True)
    assert found == sorted((tuple(i.tolist()), tuple(t.tolist())) for i, t in ours)
    np.testing.assert_array_equal(batch["weights"] > 0, batch["targets"] != 0)
    np.testing.assert_array_equal(batch["inputs_segments"] > 0, batch["inputs"] != 0)
    for name in ("inputs", "targets"):  # what fills up is at the end of a row
        assert (np.diff((batch[name] != 0).astype(int), axis=1) <= 0).all()


@given(st.integers(0, 1000), st.integers(0, 2**40))
@settings(deadline=None, max_examples=30)
def test_a_packed_batch_is_a_function_of_seed_and_step_and_has_as_many_examples_as_any(step, seed):
    data = examples([5, 9, 2, 31, 7, 7, 12])
    one, other = (TrainBatches(data, 6, seed, BUCKETS, packed_in=2) for _ in range(2))
    one.batch(step + 3)
    batch = one.batch(step)
    for name, rows in other.batch(step).items():
        np.testing.assert_array_equal(batch[name], rows)
    assert len(segments(batch, "inputs")) == 6
    assert one.tokens(step) == np.count_nonzero(batch["inputs"]) + batch["weights"].sum()
    assert one.rows_of(step) == len(batch["inputs"]) in (2, 4, 6)


def test_packed_rows_are_fewer_and_of_few_numbers():
    lengths = np.random.default_rng(0).integers(1, 33, 400)
    batches = TrainBatches(examples(lengths), 32, 0, BUCKETS, packed_in=1)
    rows = [batches.rows_of(step) for step in range(30)]
    assert max(rows) <= 24 and len(set(rows)) <= 5
    assert {batches.batch(step)["inputs"].shape[1] for step in range(30)} == {32}


@pytest.mark.parametrize("shares", [1, 2, 4])
def test_shares_of_a_packed_batch_put_together_are_the_batch(shares):
    batches = TrainBatches(examples([9, 20, 3, 14, 5, 2, 30]), 8, 1, BUCKETS, packed_in=4)
    whole = batches.batch(3)
    parts = np.arange(batches.rows_of(3)).reshape(shares, -1)
    for name in whole:
        np.testing.assert_array_equal(
            np.concatenate([batches.batch(3, own)[name] for own in parts]), whole[name]
        )
