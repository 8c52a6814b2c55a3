"""Tokenises AfriQA for `run.py` with the code that `fiat train` uses, into a few small files.

    python -m benchmarks.cheaper.prepare --base T5_FOLDER --data AFRIQA_FOLDER --out DIR [--seeds 5]

Every arm learns for 150 steps of 16 examples (three passes over 800) and reads up to 400 tokens:

- instruction: question and passage with the tuning instruction, no rationale (what FIAT is without it).
- fiat: the rationale too.
- keep: fiat on the examples whose rationale ends in the label (keep-if-right).
- dropout30, dropout50: fiat, shown without the rationale in 30 or 50 % of the cases.
- mixed: in 30 % without, and in 30 % with another example's.
- distillation: the label from question and passage, and the rationale as a second task, half the loss each.
- held: dropout50 on all but 20 training examples a language, which the cascade's threshold is chosen on.
"""

import argparse
import json
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict

from benchmarks.packing import Rows, packed, save_base
from fiat_jax.checkpoints import Base
from fiat_jax.data import Examples, Jsonl, Task, Template, TrainBatches, load_examples
from fiat_jax.data.distillation import DistillationBatches
from fiat_jax.data.metrics.text import exact_match
from fiat_jax.data.mixing import MixedBatches, RationaleMix, Shown, deal, show
from fiat_jax.data.rendering import join_rationales
from fiat_jax.data.templates import Variant

LANGUAGES = ("bem", "hau", "ibo", "zul")
STEPS, BATCH, ANSWER = 150, 16, 96
SHARES = (0.0, 0.25, 0.5, 1.0)
"""Of the test examples that are shown with another's rationale."""
MARKER = "The answer is:"
HELD = 20
"""Training examples a language that the cascade's threshold is chosen on."""


class Arm(NamedTuple):
    """What is read, and what share of that without the rationale or with a wrong one."""

    variant: Variant = "fiat"
    mix: RationaleMix | None = None


ARMS = {
    "instruction": Arm("instruction"),
    "fiat": Arm(),
    "keep": Arm(),
    "dropout30": Arm(mix=RationaleMix(without=0.3)),
    "dropout50": Arm(mix=RationaleMix(without=0.5)),
    "mixed": Arm(mix=RationaleMix(without=0.3, wrong=0.3)),
    "distillation": Arm("distillation"),
    "held": Arm(mix=RationaleMix(without=0.5)),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, required=True, help="Hugging Face folder of a T5")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of LANGUAGE.{train,test,rationales}.jsonl"
    )
    parser.add_argument("--out", type=Path, required=True, help="where the files go")
    parser.add_argument("--seeds", type=int, default=5, help="how many (5)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    pretrained = Base(str(args.base), dtype="float32", dropout=0.0).open()
    save_base(args.out, pretrained.config, flatten_dict(pretrained.params(), sep="/"))
    task = Task(
        name="afriqa",
        source=Jsonl(
            train=f"{args.data}/{{language}}.train.jsonl", test=f"{args.data}/{{language}}.test.jsonl"
        ),
        template=Template(),
        vocabulary=str(args.base),
        rationales=f"{args.data}/{{language}}.rationales.jsonl",
        languages=LANGUAGES,
        inputs_length=400,
        targets_length=192,
    )
    inputs, targets, arrays = Rows(), Rows(), {}
    kept = replace(task, name="afriqa_kept", source=keep_if_right(task, args.out))
    held = replace(task, name="afriqa_held", holdout=HELD)
    of = {"keep": Loaded(kept), "held": Loaded(held)}
    every = Loaded(task)
    for name, arm in ARMS.items():
        for seed in range(args.seeds):
            batches = of.get(name, every).batches(arm, seed)
            arrays |= packed(f"{name}/{seed}", batches, STEPS, inputs, targets)
        print(name, flush=True)
    about: dict[str, Any] = {"steps": STEPS, "answer": ANSWER, "arms": {}}
    for split, its in (("test", task), ("validation", held)):
        arrays |= conditions(its, split, inputs, about)
    for name, arm in ARMS.items():
        reads = ("bare",) if arm.variant != "fiat" else ("own", "bare", "wrong")
        about["arms"][name] = [f"test/{one}" for one in reads]
    about["arms"]["held"] += ["validation/own", "validation/bare"]
    np.savez_compressed(
        args.out / "data.npz", **inputs.arrays("inputs"), **targets.arrays("targets"), **arrays
    )
    (args.out / "about.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")


def keep_if_right(task: Task, out: Path) -> Jsonl:
    """The training examples whose rationale ends in the label, as files below `out`."""
    for language in LANGUAGES:
        rows = list(task.rows("train", (language,)))
        right = [
            row
            for row, rationale in zip(rows, join_rationales(task, rows), strict=True)
            if exact_match(str(row["answer"]), rationale.rpartition(MARKER)[2])
        ]
        print(f"{language}: the reasoner is right in {len(right)} of {len(rows)} training examples")
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in right)
        (out / f"{language}.kept.jsonl").write_text("".join(lines), encoding="utf-8")
    return Jsonl(train=f"{out}/{{language}}.kept.jsonl")


class Loaded:
    """The training examples of a task, each reading once, and the batches that `fiat train` makes of them."""

    def __init__(self, task: Task) -> None:
        self._task, self._shown = task, cache(partial(Shown, task, "train"))
        self._read = cache(partial(load_examples, task, split="train"))

    def batches(self, arm: Arm, seed: int) -> TrainBatches:
        """Those of an arm."""
        examples = self._read(arm.variant)
        if arm.variant == "distillation":
            return DistillationBatches(examples, self._read("explanation"), BATCH, seed)
        if arm.mix is None:
            return TrainBatches(examples, BATCH, seed)
        bare, longest = self._read("instruction"), self._task.inputs_length
        return MixedBatches(examples, bare, self._shown(), arm.mix, BATCH, seed, longest)


def conditions(task: Task, split: str, inputs: Rows, about: dict[str, Any]) -> dict[str, np.ndarray]:
    """The inputs of a split with their own rationale, without one, and with another's."""
    own = load_examples(task, "fiat", split)
    read: dict[str, Examples] = {
        "own": own,
        "bare": load_examples(task, "instruction", split),
        "wrong": show(RationaleMix(wrong=1.0), own, task, split),
    }
    rationales = [
        one for language in LANGUAGES for one in join_rationales(task, list(task.rows(split, (language,))))
    ]
    about[split] = {
        "ids": own.ids,
        "languages": own.languages,
        "answers": own.answers,
        "reasoner": [text.rpartition(MARKER)[2].strip() for text in rationales],
        "wrong": {share: deal(RationaleMix(wrong=share), own.ids).kinds for share in SHARES},
    }
    return {
        f"{split}/{name}": np.array([inputs.add(row) for row in examples.inputs], np.int32)
        for name, examples in read.items()
    }


if __name__ == "__main__":
    main()
