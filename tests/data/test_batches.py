from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat_jax.data.batches import _WINDOW as WINDOW
from fiat_jax.data.batches import TrainBatches, eval_batches
from fiat_jax.data.pipeline import Examples
from fiat_jax.errors import ConfigError

BUCKETS = (4, 8, 16, 32)


def examples(lengths, target_lengths=None):
    """Examples whose tokens all are 10 + their position."""
    count = len(lengths)
    target_lengths = target_lengths or [3] * count
    return Examples(
        ids=tuple(map(str, range(count))),
        languages=("",) * count,
        answers=(("x",),) * count,
        texts=("",) * count,
        inputs=tuple(np.full(n, 10 + i, np.int32) for i, n in enumerate(lengths)),
        targets=tuple(np.full(n, 10 + i, np.int32) for i, n in enumerate(target_lengths)),
        cut=({},) * count,
        unknown=(0,) * count,
    )


sizes = st.lists(st.integers(1, 32), min_size=1, max_size=30)


@settings(deadline=None)
@given(sizes, st.integers(1, 12), st.integers(0, 2**40), st.integers(1, 3))
def test_training_reads_every_example_as_often_as_any_other_in_full_batches(lengths, size, seed, windows):
    batches = TrainBatches(examples(lengths), size, seed, BUCKETS)
    steps = windows * WINDOW
    times = np.bincount(np.concatenate(list(map(batches.rows, range(steps)))), minlength=len(lengths))
    assert times.max() - times.min() <= 1
    batch = batches.batch(0)
    assert batch["inputs"].shape[0] == size
    assert (batch["weights"].sum(1) == 3).all()


def test_rows_of_like_length_go_together_in_training():
    lengths = np.random.default_rng(0).integers(1, 33, 400)
    batches = TrainBatches(examples(lengths), 10, 0, BUCKETS)
    spread = [np.ptp(lengths[batches.rows(step)]) for step in range(WINDOW)]
    assert np.mean(spread) < 6


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 2**40))
def test_a_batch_is_a_function_of_seed_and_step_alone(step, seed):
    data = examples([5, 9, 2, 31, 7, 7, 12])
    asked = TrainBatches(data, 3, seed, BUCKETS)
    for earlier in (step + 5, 0, step):
        after_others = asked.batch(earlier)
    fresh = TrainBatches(data, 3, seed, BUCKETS).batch(step)
    for name in ("inputs", "targets", "weights"):
        np.testing.assert_array_equal(after_others[name], fresh[name])


def test_epochs_and_seeds_differ_in_order():
    data = examples([3] * 30)
    one, other = TrainBatches(data, 30, 1, BUCKETS), TrainBatches(data, 30, 2, BUCKETS)
    orders = [one.rows(0), one.rows(1), other.rows(0)]
    assert len({tuple(order) for order in orders}) == 3
    assert one.steps_per_epoch == 1


def test_the_order_stays_what_it_was_in_earlier_releases():
    batches = TrainBatches(examples([3] * 8), 8, 17, BUCKETS)
    assert batches.rows(0).tolist() == ORDER[0]
    assert batches.rows(5).tolist() == ORDER[1]


ORDER = [[5, 7, 6, 3, 1, 2, 4, 0], [6, 4, 0, 3, 1, 5, 7, 2]]


def test_rows_are_padded_to_the_bucket_of_the_longest_and_never_beyond_the_longest_of_all():
    data = examples([3, 9, 4, 30], [2, 17, 5, 40])
    *_, (batch, rows) = eval_batches(data, 3, BUCKETS)
    assert rows.tolist() == [0, -1, -1]
    (batch, rows), _ = eval_batches(data, 3, BUCKETS)
    assert batch["inputs"].shape == (3, 30)  # the longest of all is shorter than its bucket
    assert batch["targets"].shape == batch["weights"].shape == (3, 40)
    assert rows.tolist() == [3, 1, 2]
    for row in range(3):
        which = batch["inputs"][row, 0] - 10
        assert (batch["inputs"][row] != 0).sum() == len(data.inputs[which])
        assert batch["weights"][row].sum() == len(data.targets[which])
        np.testing.assert_array_equal(batch["weights"][row] > 0, batch["targets"][row] != 0)
    assert (batch["inputs"].dtype, batch["weights"].dtype) == (np.int32, np.float32)


def test_a_regime_is_padded_to_lengths_of_the_examples_that_it_was_chosen_from():
    few = replace(examples([9, 9, 9]), longest=(30, 17))
    batches = TrainBatches(few, 3, 0, BUCKETS), TrainBatches(few, 3, 0, BUCKETS, packed_in=1)
    evaluated, _ = next(eval_batches(few, 3, BUCKETS))
    for batch in (batches[0].batch(0), evaluated):
        assert batch["inputs"].shape == (3, 16) and batch["targets"].shape == (3, 17)
    assert batches[1].batch(0)["inputs"].shape[1] == 30


@given(sizes, st.integers(1, 12))
def test_evaluation_counts_each_example_once_and_tells_where_it_belongs(lengths, size):
    data = examples(lengths)
    found, weight, padded = [None] * len(lengths), 0.0, 0
    for batch, rows in eval_batches(data, size, BUCKETS):
        assert batch["inputs"].shape[0] == len(rows) == size
        assert (batch["inputs"][:, 0] != 0).all()  # no row is all padding
        for row, inputs, weights in zip(rows, batch["inputs"], batch["weights"], strict=True):
            if row < 0:
                assert weights.sum() == 0
                padded += 1
            else:
                assert found[row] is None
                found[row] = inputs[inputs != 0].tolist()
                weight += weights.sum()
    assert found == [row.tolist() for row in data.inputs]
    assert weight == 3 * len(lengths)
    assert padded < size


def test_evaluation_takes_the_longest_first_so_that_few_shapes_are_compiled():
    shapes = [
        batch["inputs"].shape[1] for batch, _ in eval_batches(examples([2, 30, 5, 3, 16, 9]), 2, BUCKETS)
    ]
    assert shapes == [30, 16, 4]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((0, 0, (64,)), "batch size of 1 or more, found 0"),
        ((2, 0, (8, 16)), r"for the longest input, 20 tokens, found \(8, 16\)"),
        ((2, 0, (64, 32)), "ascending"),
        ((2, 0, ()), "for the longest input"),
    ],
)
def test_buckets_that_do_not_hold_the_rows_are_refused(arguments, found):
    with pytest.raises(ConfigError, match=found):
        TrainBatches(examples([20, 3]), *arguments)


@pytest.mark.parametrize("shares", [1, 2, 4])
def test_shares_of_a_batch_put_together_are_the_batch(shares):
    data, parts = examples([9, 20, 3, 14, 5, 2, 30]), np.arange(4).reshape(shares, -1)
    train = TrainBatches(data, 4, seed=1, buckets=BUCKETS)
    for step in range(4):
        whole, made = train.batch(step), [train.batch(step, own) for own in parts]
        assert train.tokens(step) == np.count_nonzero(whole["inputs"]) + whole["weights"].sum()
        for name in whole:
            np.testing.assert_array_equal(np.concatenate([one[name] for one in made]), whole[name])
    made = [list(eval_batches(data, 4, BUCKETS, own)) for own in parts]
    for number, (whole, rows) in enumerate(eval_batches(data, 4, BUCKETS)):
        assert all((one[number].rows == rows).all() for one in made)
        for name in whole:
            together = np.concatenate([one[number].batch[name] for one in made])
            np.testing.assert_array_equal(together, whole[name])
