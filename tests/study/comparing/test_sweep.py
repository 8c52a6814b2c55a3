"""The table of a comparison."""

import pytest

from fiat_jax.checkpoints import Base
from fiat_jax.data.mixing import RationaleMix
from fiat_jax.errors import ConfigError
from fiat_jax.study.comparing.paradigms import ALONE, CUMULATIVE, INGREDIENTS, PARADIGMS, Paradigm, named
from fiat_jax.study.comparing.sweep import Sweep


def names(**settings):
    return [cell.name for cell in Sweep(**settings).cells()]


def test_the_first_seed_comes_first_and_in_it_the_smallest_size():
    assert names(sizes=(10, 30), seeds=(0, 7), paradigms=("icl", "fiat"), at_largest=("fiat_full",)) == [
        "icl",
        "fiat-10-seed0",
        "fiat-30-seed0",
        "fiat_full-30-seed0",
        "fiat-10-seed7",
        "fiat-30-seed7",
        "fiat_full-30-seed7",
    ]


def test_bases_adapters_and_prompts_multiply_only_what_they_make_a_difference_to():
    found = names(
        sizes=(10,),
        seeds=(0,),
        paradigms=("icl", "zero_shot", "finetune", "lora", "fiat"),
        bases={"small": Base("a"), "large": Base("b")},
        prompts={"short": "s.sqlite", "long": "l.sqlite"},
    )
    assert [one for one in found if one.startswith("icl")] == ["icl-short", "icl-long"]
    assert [one for one in found if one.startswith("zero_shot")] == ["zero_shot-small", "zero_shot-large"]
    assert sum(one.startswith("finetune") for one in found) == 2
    assert sum(one.startswith("fiat") for one in found) == 4


def test_no_two_cells_have_one_name():
    found = names(sizes=(10, 30), paradigms=tuple(one.name for one in PARADIGMS), pretrained=Base("old"))
    assert len(set(found)) == len(found)


def test_examples_before_the_input_are_drawn_by_each_seed_and_need_no_size():
    assert names(sizes=(10,), seeds=(0, 1), paradigms=("few_shot",)) == ["few_shot-seed0", "few_shot-seed1"]


def test_paradigms_that_read_otherwise_but_learn_alike_share_a_run():
    cells = Sweep(sizes=(10,), seeds=(0,), paradigms=("fiat", "fiat_wrong", "cascade")).cells()
    runs = {cell.paradigm.name: cell.run for cell in cells}
    assert runs["fiat"] == runs["fiat_wrong"] != runs["cascade"]


def test_each_ablation_differs_from_the_one_before_by_one_ingredient():
    known = {one.name: one for one in PARADIGMS}
    ingredients = {
        "rationale": lambda one: one.variant == "fiat",
        "instruction": lambda one: one.instructed and one.variant != "plain",
        "adapter": lambda one: one.learns == "adapter",
        "instruction-tuned base": lambda one: one.instruction_tuned,
    }
    assert tuple(ingredients) == INGREDIENTS

    def has(name):
        return {kind for kind, test in ingredients.items() if test(known[name])}

    for at, name in enumerate(CUMULATIVE):
        assert has(name) == set(INGREDIENTS[at:])
    for lost, name in zip(INGREDIENTS, ALONE, strict=True):
        assert has(name) == set(INGREDIENTS) - {lost}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sizes": ()}, "Sweep.sizes: expected one or more, ascending, found ()."),
        ({"sizes": (30, 10)}, "ascending"),
        ({"sizes": (10,), "seeds": ()}, "Sweep.seeds"),
        ({"sizes": (10,), "paradigms": ("fiatt",)}, "did you mean 'fiat'?"),
        ({"sizes": (10,), "paradigms": ("fiat", "fiat")}, "expected each paradigm once, found 'fiat' twice"),
        ({"sizes": (10,), "paradigms": ("fiat_pretrained",)}, "Sweep.pretrained: expected the base before"),
        ({"sizes": (10,), "learning_rates": {"adapter": (1.0,), "base": ()}}, "as many for 'adapter'"),
        ({"sizes": (10,), "adapters": {"a-b": None}}, "Sweep.adapters: expected names of letters"),
        ({"sizes": (10,), "at_once": 0}, "Sweep.at_once: expected 1 or more"),
    ],
)
def test_a_table_that_cannot_be_is_refused(settings, said):
    with pytest.raises(ConfigError) as error:
        Sweep(**settings)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "a b"}, "expected letters, digits and underscores"),
        ({"name": "a", "shots": 2}, "learns = 'nothing'"),
        ({"name": "a", "variant": "instruction", "instructed": False}, "variant = 'plain'"),
        ({"name": "a", "asked": 1.5}, "0 to 1"),
        ({"name": "a", "asked": 0.5, "shown": RationaleMix(without=1.0)}, "one of them"),
    ],
)
def test_a_paradigm_that_cannot_be_is_refused(settings, said):
    with pytest.raises(ConfigError) as error:
        Paradigm(label="", **settings)
    assert said in str(error.value)


def test_a_paradigm_of_ones_own_stands_beside_those_with_names():
    own = Paradigm("mine", "my own", variant="instruction")
    assert named(("fiat", own), "Sweep.paradigms")[1] is own
