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
HELD_OUT = ("commonsenseqa", "cot_table", "gsm8k", "squad", "strategyqa", "tydiqa_goldp")
TUNED_ON = {"mgsm": "gsm8k", "xquad": "squad"}
"""Recipes without a training split, and those that they are tuned on."""
MEANS = {
    "xtreme_up_cross_lingual": ("Task.mean_of=('bn', 'as')", "Task.groups={'Indic': ('as',)}"),
    "xtreme_up_in_language": ("Task.mean_of=('sw',)",),
}
"""Of which of those languages there are means."""


def small(name, *bindings):
    """What a recipe is bound to so that it fits its files; they lie in `data` of the working directory."""
    languages = [f"Task.languages={LANGUAGES[name]}"] if name in LANGUAGES else []
    languages += MEANS.get(name, ())
    return (*languages, *["Task.holdout=1"] * (name in HELD_OUT), "Task.vocabulary=byte", *bindings)


def link_data(folder):
    """Puts the files where the recipes look for them from a working directory."""
    (folder / "data").symlink_to(FIXTURES)
