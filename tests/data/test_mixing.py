"""Rationales left out, or given to others: which, how often, and that it is the same each time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import example

from fiat_jax.data import TrainBatches, load_examples
from fiat_jax.data.mixing import MixedBatches, RationaleMix, Shown, deal, load_shown
from fiat_jax.errors import ConfigError, DataError

IDS = [f"{one}{i}" for one in ("hau", "ibo") for i in range(20)]
TRAIN = [example(id, id[:3]) for id in IDS]
RATIONALES = {id: f"The answer is in {id}" for id in IDS}


@pytest.fixture
def task(make_task):
    return make_task(RATIONALES, train=TRAIN, languages=("hau", "ibo"))


@pytest.fixture
def batches(task):
    examples = load_examples(task, "fiat", "train")
    bare, shown = load_examples(task, "instruction", "train"), Shown(task, "train")

    def make(seed=0, **mix):
        return MixedBatches(examples, bare, shown, RationaleMix(**mix), 8, seed, task.inputs_length)

    return make


def read(batches, task, steps):
    """Of every row of some steps, its example and the one whose rationale is shown, or None."""
    tokens = task.tokens()
    for step in range(steps):
        batch = batches.batch(step)
        for row, ids in zip(batches.rows(step), batch["inputs"], strict=True):
            text = tokens.decode(ids[ids != 0])
            donor = text.split("The answer is in ")[1].split()[0] if "reasoning:" in text else None
            assert f"who wrote {IDS[row]}?" in text
            yield int(row), donor


shares = st.floats(0, 1)


@given(st.integers(2, 60), shares, shares, st.integers(0, 5))
def test_a_split_is_dealt_with_in_exact_shares_and_nobody_has_its_own(count, wrong, other, seed):
    ids = [f"q{i}" for i in range(count)]
    mix = RationaleMix(wrong=wrong, without=min(other, 1 - wrong), seed=seed)
    kinds, donors = deal(mix, ids)
    assert abs(kinds.count("wrong") - wrong * count) <= 1
    assert abs(kinds.count("without") - mix.without * count) <= 1
    assert sorted(donors) == list(range(count))
    assert all(donor != at for at, donor in enumerate(donors))
    more = deal(RationaleMix(wrong=1.0, seed=seed), ids)
    assert more.donors == donors


def test_larger_shares_hold_the_rows_of_the_smaller_and_the_order_of_a_file_changes_nothing():
    some, all_of_them = (deal(RationaleMix(wrong=share), IDS).kinds for share in (0.25, 0.5))
    assert {at for at, kind in enumerate(some) if kind == "wrong"} < {
        at for at, kind in enumerate(all_of_them) if kind == "wrong"
    }
    turned = deal(RationaleMix(wrong=0.25), IDS[::-1])
    assert turned.kinds[::-1] == some
    assert deal(RationaleMix(wrong=0.25, seed=1), IDS).kinds != some


def test_a_split_is_read_with_the_rationales_of_others_or_without(task):
    own = load_examples(task, "fiat", "train")
    for mix in (RationaleMix(wrong=0.5), RationaleMix(without=0.25, wrong=0.25)):
        shown, (kinds, donors) = load_shown(task, "train", mix), deal(mix, own.ids)
        for at, kind in enumerate(kinds):
            donor = {"own": at, "wrong": donors[at], "without": None}[kind]
            assert ("reasoning:" in shown.texts[at]) == (donor is not None)
            assert donor is None or f"The answer is in {IDS[donor]} question: who" in shown.texts[at]
            assert f"who wrote {IDS[at]}?" in shown.texts[at]
        assert list(map(list, shown.targets)) == list(map(list, own.targets)) and shown.ids == own.ids


def test_where_all_are_without_no_rationale_is_needed(make_task):
    task = make_task({}, train=TRAIN)
    shown = load_shown(task, "train", RationaleMix(without=1.0))
    assert shown.texts == load_examples(task, "instruction", "train").texts


def test_training_shows_each_share_in_expectation_and_draws_anew_in_each_epoch(batches, task):
    seen = list(read(batches(without=0.3, wrong=0.3), task, 50))
    kinds = ["without" if donor is None else "own" if donor == IDS[row] else "wrong" for row, donor in seen]
    for kind, share in (("without", 0.3), ("wrong", 0.3), ("own", 0.4)):
        assert abs(kinds.count(kind) / len(kinds) - share) < 4 * np.sqrt(0.25 / len(kinds))
    donors = [len({donor for at, donor in seen if at == row}) for row in range(len(IDS))]
    assert min(donors) > 1 and np.mean(donors) > 3


def test_all_wrong_is_never_ones_own(batches, task):
    assert all(donor not in (None, IDS[row]) for row, donor in read(batches(wrong=1.0), task, 20))


def test_a_mixed_batch_is_a_function_of_seeds_and_step_alone(batches):
    mix = {"without": 0.4, "wrong": 0.4}
    asked = batches(seed=3, **mix)
    for step in (30, 2, 11):
        after_others, fresh = asked.batch(step), batches(seed=3, **mix).batch(step)
        np.testing.assert_array_equal(after_others["inputs"], fresh["inputs"])
        np.testing.assert_array_equal(asked.batch(step, np.array([5, 1]))["inputs"], fresh["inputs"][[5, 1]])
    other = MixedBatches(asked.examples, asked.read[1], None, RationaleMix(**mix, seed=1), 8, 3, 512)
    assert asked._dealt(0).kinds != other._dealt(0).kinds


def test_a_mix_of_nothing_is_plain_training(batches, task):
    mixed, plain = batches(seed=2), TrainBatches(load_examples(task, "fiat", "train"), 8, 2)
    for step in range(6):
        assert (mixed.rows(step) == plain.rows(step)).all()
        assert mixed.tokens(step) == plain.tokens(step)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"without": 1.5}, r"RationaleMix\.without: expected a share from 0 to 1, found 1.5"),
        ({"without": 0.6, "wrong": 0.6}, "expected shares that add up to 1 at most"),
        ({"seed": -1}, r"RationaleMix\.seed"),
    ],
)
def test_a_mix_that_is_none_is_refused(mix, message):
    with pytest.raises(ConfigError, match=message):
        RationaleMix(**mix)


def test_one_example_has_nobody_to_exchange_with():
    with pytest.raises(DataError, match="two examples or more"):
        deal(RationaleMix(wrong=1.0), ["a"])


def test_examples_that_are_left_out_for_want_of_a_rationale_are_not_mixed_up_with_others(make_task):
    some = {id: text for id, text in RATIONALES.items() if int(id[3:]) % 3}
    task = make_task(some, train=TRAIN, languages=("hau", "ibo"), without_rationale="leave_out")
    examples, bare = (load_examples(task, reading, "train") for reading in ("fiat", "instruction"))
    mix = RationaleMix(without=0.5, wrong=0.5)
    mixed = MixedBatches(examples, bare, Shown(task, "train"), mix, 4, 0, task.inputs_length)
    for step in range(12):
        batch = mixed.batch(step)
        for row, ids in zip(mixed.rows(step), batch["inputs"], strict=True):
            assert f"who wrote {examples.ids[row]}?" in task.tokens().decode(ids[ids != 0])
