"""Which training examples a regime uses: the same ones everywhere, a smaller regime within a larger."""

import itertools
import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import example

from fiat_jax.data.parts import parts_of
from fiat_jax.data.regimes import Regime
from fiat_jax.errors import ConfigError, DataError

SIZES = {"hau": 12, "ibo": 30, "zul": 5}
TRAIN = [example(f"{one}-{n}", one) for one, size in SIZES.items() for n in range(size)]
GOLDEN = {
    False: ["ibo-15", "ibo-23", "ibo-25", "ibo-4", "ibo-7", "zul-3"],
    True: ["hau-1", "hau-9", "ibo-15", "ibo-7", "zul-2", "zul-3"],
}

examples = st.lists(st.sampled_from("abc"), min_size=1, max_size=60).map(
    lambda languages: {f"{chr(0x5D0 + n)} {n}": language for n, language in enumerate(languages)}
)
patiently = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])


def keys(ids):
    """Keys of a {id: language}."""
    return [(language, id) for id, language in ids.items()]


def ids(rows):
    return [row["id"] for row in rows]


@patiently
@given(examples, st.integers(0, 1000), st.booleans(), st.data())
def test_a_smaller_regime_lies_within_a_larger_one_and_has_its_size(ids, seed, balanced, data):
    sizes = sorted(data.draw(st.lists(st.integers(1, len(ids)), min_size=2, max_size=4)))
    chosen = [Regime(size, seed, balanced).choose(keys(ids), "t") for size in sizes]
    assert [len(one) for one in chosen] == sizes
    assert all(small <= large for small, large in itertools.pairwise(chosen))


@patiently
@given(examples, st.integers(0, 1000), st.booleans(), st.randoms())
def test_the_order_of_the_rows_does_not_matter(ids, seed, balanced, random):
    shuffled = keys(ids)
    random.shuffle(shuffled)
    regime = Regime(1 + len(ids) // 2, seed, balanced)
    assert regime.choose(shuffled, "t") == regime.choose(keys(ids), "t")


@patiently
@given(examples, st.integers(0, 1000), st.data())
def test_a_balanced_regime_takes_as_many_of_each_language_as_far_as_it_has_them(ids, seed, data):
    size = data.draw(st.integers(1, len(ids)))
    taken = Counter(language for language, _ in Regime(size, seed, True).choose(keys(ids), "t"))
    there = Counter(ids.values())
    for language in there:
        assert taken[language] == there[language] or taken[language] >= max(taken.values()) - 1


def test_without_balance_languages_come_by_chance_as_often_as_they_are():
    keys = [("large" if n % 10 else "small", str(n)) for n in range(20_000)]
    taken = Counter(language for language, _ in Regime(4000).choose(keys, "t"))
    assert 350 < taken["small"] < 450  # 400 expected, four standard deviations


@pytest.mark.parametrize("balanced", [False, True])
def test_another_process_with_other_hashes_chooses_the_same_examples(balanced):
    code = (
        "import json; from fiat_jax.data.regimes import Regime;"
        f"keys = [(one, f'{{one}}-{{n}}') for one, size in {SIZES}.items() for n in range(size)];"
        f"print(json.dumps(sorted(id for _, id in Regime(6, 1, {balanced}).choose(set(keys), 't'))))"
    )
    for seed in ("1", "2"):
        shown = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert json.loads(shown) == GOLDEN[balanced]


def test_a_task_uses_its_regime_in_file_order_after_the_holdout(make_task):
    settings = {"train": TRAIN, "languages": tuple(SIZES), "holdout": 2}
    whole = make_task(**settings)
    validation, train = ids(whole.rows("validation")), ids(whole.rows("train"))
    for size in (1, 10, 41):
        task = make_task(**settings, regime=Regime(size))
        used = ids(task.rows("train"))
        assert ids(task.rows("validation")) == validation
        assert len(used) == size and used == [id for id in train if id in used]
        apart = [ids(task.rows("train", (language,))) for language in SIZES]
        assert sorted(itertools.chain(*apart)) == sorted(used)


def test_a_regime_takes_of_train_alone_and_makes_it_one_part(make_task):
    task = make_task(train=TRAIN, test=TRAIN, regime=Regime(3))
    assert len(list(task.rows("test"))) == len(TRAIN)
    (part,) = parts_of(task, "train")
    assert part.place is None and parts_of(task, "test")[0].place is not None


def test_more_than_there_is_is_an_error_that_says_how_much_there_is(make_task):
    task = make_task(train=TRAIN, languages=tuple(SIZES), holdout=2, regime=Regime(42))
    with pytest.raises(DataError, match=r"at most 41 examples, .* found Regime.size = 42"):
        list(task.rows("train"))


def test_what_cannot_be_chosen_is_refused(make_task):
    with pytest.raises(ConfigError, match=r"Regime\.size: expected 1 or more, found 0"):
        Regime(0)
    with pytest.raises(ConfigError, match=r"Task\.regime: expected a 'train'"):
        make_task(test=TRAIN, regime=Regime(2))
    alone = [{**row, "language": ""} for row in TRAIN]
    with pytest.raises(DataError, match=r"leave out Regime\.balanced"):
        list(make_task(train=alone, regime=Regime(2, balanced=True)).rows("train"))
