"""The recipes of tasks, on small files of ours in the formats of the public ones."""

from pathlib import Path

from fiat_jax.config.files import SHIPPED

FIXTURES = Path(__file__).parent / "data" / "fixtures"
RECIPES = sorted(path.stem for path in (SHIPPED / "recipes").glob("*.gin"))
LANGUAGES = {
    "afriqa": ("hau", "zul"),
    "afriqa_gold": ("hau", "zul"),
    "mgsm": ("es", "sw"),
    "tydiqa_goldp": ("fi", "sw"),
    "xor_attriqa": ("bn", "fi"),
    "xor_attriqa_english": ("bn", "fi"),
    "xquad": ("en", "es"),
    "xtreme_up_cross_lingual": ("bn", "as"),
    "xtreme_up_in_language": ("sw", "fi"),
}
"""Those that there are files of, where a recipe has more."""
SCORED_BY_GROUPS = ("tydiqa_goldp", "xtreme_up_cross_lingual", "xtreme_up_in_language")
HELD_OUT = ("commonsenseqa", "cot_table", "gsm8k", "squad", "strategyqa", "tydiqa_goldp")
TUNED_ON = {"mgsm": "gsm8k", "xquad": "squad"}
"""Recipes without a training split, and those that they are tuned on."""


def small(name, *bindings):
    """What a recipe is bound to so that it fits its files; they lie in `data` of the working directory."""
    languages = [f"Task.languages={LANGUAGES[name]}"] if name in LANGUAGES else []
    if name in SCORED_BY_GROUPS:
        languages += ["Task.mean_of=()", "Task.groups={}"]
    return (*languages, *["Task.holdout=1"] * (name in HELD_OUT), "Task.vocabulary=byte", *bindings)


def link_data(folder):
    """Puts the files where the recipes look for them from a working directory."""
    (folder / "data").symlink_to(FIXTURES)
