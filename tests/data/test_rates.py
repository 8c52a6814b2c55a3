"""Rates of languages: in our own stream of examples, and in seqio's mixtures."""

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import example

from fiat_jax.data import TrainBatches, load_examples, register
from fiat_jax.data.distillation import DistillationBatches
from fiat_jax.data.mixing import MixedBatches, RationaleMix, Shown
from fiat_jax.data.pipeline import Examples
from fiat_jax.data.rates import rate
from fiat_jax.data.regimes import Regime
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError

mixings = st.one_of(st.just("equal"), st.floats(1, 100))
SIZES = {"hau": 3, "ibo": 9, "zul": 24}
TRAIN = [example(f"{one}-{n}", one) for one, size in SIZES.items() for n in range(size)]


def examples(sizes):
    """Examples of languages '0', '1', ..., in turn as far as they go, each a token long."""
    languages = [str(one) for one, size in enumerate(sizes) for _ in range(size)]
    rows = tuple(np.array([n + 1], np.int32) for n in range(len(languages)))
    return Examples(
        ids=tuple(map(str, range(len(rows)))),
        languages=tuple(np.random.default_rng(0).permutation(languages).tolist()),
        answers=(("x",),) * len(rows),
        texts=("",) * len(rows),
        inputs=rows,
        targets=rows,
        cut=(False,) * len(rows),
        unknown=(0,) * len(rows),
    )


def stream(batches, steps):
    return np.concatenate([batches.rows(step) for step in range(steps)])


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), mixings, st.integers(0, 99), st.integers(1, 9))
def test_shares_of_languages_are_their_rates_to_within_a_round(sizes, mixing, seed, size):
    data = examples(sizes)
    steps = 8 * max(len(data), 2)  # whole windows, and a number of rounds that is a multiple of the batch
    rows = stream(TrainBatches(data, size, seed, mixing=mixing), steps)
    drawn = Counter(data.languages[row] for row in rows)
    rates = {str(one): rate(count, mixing) for one, count in enumerate(sizes)}
    for language, its in rates.items():
        expected = len(rows) * its / sum(rates.values())
        assert abs(drawn[language] - expected) < 1 + len(data) * (len(rows) % len(data) > 0)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), mixings, st.integers(0, 99))
def test_within_a_language_each_example_comes_once_a_pass(sizes, mixing, seed):
    data = examples(sizes)
    batches = TrainBatches(data, 1, seed, mixing=mixing)
    for language in set(data.languages):
        places = [batches._place(at) for at in range(4 * len(data))]
        own = [(number, row) for number, row in places if data.languages[row] == language]
        size = data.languages.count(language)
        assert [number for number, _ in own] == [at // size for at in range(len(own))]
        for start in range(0, len(own) - size + 1, size):
            assert len({row for _, row in own[start : start + size]}) == size


def test_passes_of_a_language_differ_in_order_and_languages_do_not_come_in_blocks():
    data = examples([6, 60])
    batches = TrainBatches(data, 1, 0, mixing="equal")
    rows = [batches._place(at)[1] for at in range(132)]
    small = [row for row in rows if data.languages[row] == "0"]
    assert len({tuple(small[at : at + 6]) for at in range(0, 60, 6)}) > 5
    runs = np.diff(np.flatnonzero(np.diff([data.languages[row] == "0" for row in rows])))
    assert runs.max() < 15


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 500), st.integers(0, 2**40), mixings)
def test_a_batch_at_rates_is_a_function_of_seed_and_step_alone(step, seed, mixing):
    data = examples([3, 11, 7])
    asked = TrainBatches(data, 4, seed, mixing=mixing)
    for earlier in (step + 40, 0, step):
        after_others = asked.batch(earlier)
    fresh = TrainBatches(data, 4, seed, mixing=mixing).batch(step)
    for name in fresh:
        np.testing.assert_array_equal(after_others[name], fresh[name])


def test_the_order_at_rates_stays_what_it_was_in_earlier_releases():
    batches = TrainBatches(examples([2, 6]), 8, 17, mixing=2.0)
    assert [batches.rows(step).tolist() for step in (0, 5)] == ORDER


ORDER = [[0, 3, 7, 1, 6, 5, 2, 5], [7, 3, 4, 6, 5, 0, 5, 2]]


def test_a_temperature_of_one_is_proportional_and_a_high_one_nearly_equal():
    assert [rate(count, 1) / rate(10, 1) for count in (10, 1000)] == [1, 100]
    assert rate(1000, 1e9) / rate(10, 1e9) == pytest.approx(1)
    assert [rate(7, "proportional"), rate(7, "equal"), rate(0, "equal"), rate(0, 2.0)] == [7, 1, 0, 0]


@pytest.fixture
def make(make_task):
    rationales = {row["id"]: f"The passage names him: {row['id']}" for row in TRAIN}
    template = Template(explanation="The reasoning:")
    return partial(make_task, rationales, template=template, train=TRAIN, languages=tuple(SIZES))


@pytest.mark.parametrize("mixing", ["equal", 3.0])
def test_seqios_rates_are_those_of_our_stream(make, mixing):
    from fiat_jax.data.tensorflow import seqio

    task = replace(make(), mixing=mixing, name=f"rates_{str(mixing)[0]}")
    register(task)
    for reading in ("plain", "distillation"):
        mixture = seqio.get_mixture_or_task(task.seqio_name(reading))
        theirs = {one: 0.0 for one in SIZES}
        for one in mixture.tasks:
            theirs[one.name.split(".")[1]] += mixture.get_rate(one)
        assert [share / sum(theirs.values()) for share in theirs.values()] == pytest.approx(
            [rate(size, mixing) / sum(rate(one, mixing) for one in SIZES.values()) for size in SIZES.values()]
        )


def test_mixed_and_distilled_batches_follow_the_rates_too(make):
    task = make(mixing="equal")
    read = {name: load_examples(task, name, "train") for name in ("fiat", "instruction", "explanation")}
    plain = TrainBatches(read["fiat"], 6, 1, mixing="equal")
    distilled = DistillationBatches(read["instruction"], read["explanation"], 6, 1, mixing="equal")
    mix = RationaleMix(wrong=0.5)
    shown, longest = Shown(task, "train"), task.inputs_length
    mixed = MixedBatches(read["fiat"], read["instruction"], shown, mix, 6, 1, longest, mixing="equal")
    for batches in (mixed, distilled):
        of_each = Counter(read["fiat"].languages[row] for row in stream(batches, 24))
        assert set(of_each.values()) == {48} and len(of_each) == 3
    np.testing.assert_array_equal(stream(distilled, 24), stream(plain, 24))
    again = MixedBatches(read["fiat"], read["instruction"], shown, mix, 6, 1, longest, mixing="equal")
    np.testing.assert_array_equal(again.batch(30)["inputs"], mixed.batch(30)["inputs"])


def test_a_language_of_which_a_regime_has_none_is_trained_without(make_task):
    task = make_task(train=TRAIN, languages=tuple(SIZES), regime=Regime(2), mixing="equal")
    examples = load_examples(task, "plain", "train")
    assert len(examples) == 2 and set(examples.ids) == {row["id"] for row in task.rows("train")}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"mixing": "equal", "languages": ()}, "expected Task.languages to mix, found none"),
        ({"mixing": 0.5}, "expected a temperature of 1 or more, found 0.5"),
        ({"mixing": float("nan")}, "expected a temperature of 1 or more, found nan"),
    ],
)
def test_rates_that_cannot_be_are_refused(make_task, settings, found):
    with pytest.raises(ConfigError, match=found):
        make_task(**{"train": TRAIN, "languages": tuple(SIZES), **settings})
