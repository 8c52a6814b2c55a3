"""Every recipe of a task tunes and is evaluated offline, on its small files."""

import json
from pathlib import Path

import pytest
from recipes import RECIPES, TUNED_ON, link_data, small

from fiat_jax.config import parse
from fiat_jax.errors import DataError
from fiat_jax.study.evaluation import evaluate_run
from fiat_jax.study.tuning import Tuning, tune
from fiat_jax.training import AdamW

ALWAYS = ("xor_attriqa",)
"""One that ranks labels; the others are tuned with the slow tests."""
SIZES = ("Task.inputs_length=128", "Task.targets_length=32", "LoRA.rank=4")


@pytest.fixture(autouse=True)
def data(world):
    """A world, for its model, with the files of the recipes."""
    link_data(world)


def evaluation(*names, bindings=(), variant="plain"):
    """What `fiat eval` is called with after recipes, of which a later one wins."""
    settings = [f"Experiment.variant={variant}", "Base.path=model", "Base.dtype=float32", *SIZES, *bindings]
    files = [f"recipes/{name}.gin" for name in names]
    return parse("eval", files, ["eval.run_dir=run", *small(names[-1], *settings)]).arguments


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in ALWAYS else pytest.mark.slow) for name in RECIPES]
)
def test_a_recipe_tunes_two_steps_and_is_evaluated(name):
    names, unvalidated = (name,), ()
    if name in TUNED_ON:
        names, unvalidated = (TUNED_ON[name], name), ("Task.holdout=0", f"Task.name=for_{name}")
    tuning = Tuning(AdamW(), batch_size=2, steps=2, save_every=0)
    tune(Path("run"), evaluation(names[0], bindings=unvalidated)["experiment"], tuning)
    asked = evaluation(*names)
    split = asked["experiment"].task.splits()[-1]
    scored = evaluate_run(Path("run"), asked["experiment"], split, 4, rank=asked["rank"])
    rows = [json.loads(line) for line in Path(f"run/predictions/{split}.jsonl").read_text().splitlines()]
    assert scored.step == 2 and len(rows) == scored.counts[""].examples > 0
    if asked["rank"]:
        assert {row["prediction"] for row in rows} <= set(asked["rank"].labels)
    if name.startswith("xor_attriqa"):
        assert {"auc_pr_true", "auc_pr_false", "prevalence_true"} <= set(scored.metrics)


def test_what_people_wrote_who_knew_the_label_is_not_read_in_an_evaluation():
    said = "task gsm8k: expected rationales written without the label, found those of the field 'explanation'"
    with pytest.raises(DataError, match=said):
        evaluate_run(Path("run"), evaluation("gsm8k", variant="fiat")["experiment"], "test", 4)
