"""Packs a sweep of `fiat compare` for `run.py` into a few small files, with the code that it uses itself.

    python -m benchmarks.study.prepare --config benchmarks/study/afriqa.gin --bind "MODEL='T5_FOLDER'" \\
      --run_dir runs/afriqa_study --out runs/afriqa_packed

- about.json: the runs in the order of the sweep, what each learns, at which rates and from which batches,
  which inputs its cells answer; what validation needs to score answers.
- data.npz: every row of token ids once; of each batch and each split, which rows.
- config.json, base0.npz, base1.npz: the base. tokenizer.json: what answers are written with.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from benchmarks.packing import Rows, packed, save_base
from benchmarks.study.setting import arguments, choosers, runs_of, setups_of
from fiat_jax.adapters import LoRA
from fiat_jax.data import Examples, load_examples
from fiat_jax.data.mixing import load_shown
from fiat_jax.data.vocabularies import find_vocabulary
from fiat_jax.study.comparing.setups import Setups
from fiat_jax.study.comparing.sweep import Cell
from fiat_jax.study.tuning import train_batches
from fiat_jax.training import AdamW


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where the files go")
    args = parser.parse_args()
    setups, _ = setups_of(args)
    check(setups)
    args.out.mkdir(parents=True, exist_ok=True)
    packing = Packing(setups)
    runs = [packing.run(cells) for cells in runs_of(setups)]
    experiment, tuning, task = setups.experiment, setups.tuning, setups.experiment.task
    about = {
        "steps": tuning.steps,
        "piece": tuning.eval_every or tuning.steps,
        "optimizer": asdict(tuning.optimizer),
        "adapter": asdict(experiment.adapter),
        "answer": task.targets_length,
        "metric": task.metrics[0],
        "headline": task.headline,
        "mean_of": task.mean_of,
        "frozen": save(args.out, setups),
        "tokens": packing.tokens,
        "splits": packing.splits,
        "runs": runs,
    }
    (args.out / "about.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
    np.savez_compressed(args.out / "data.npz", **packing.arrays())
    print(f"{args.out}: {len(runs)} runs, {len(packing.tokens)} orders of batches")


def check(setups: Setups) -> None:
    """Makes sure that `run.py` can run a sweep as `fiat compare` would."""
    experiment, tuning, sweep = setups.experiment, setups.tuning, setups.sweep
    template = experiment.task.template
    for wrong, what in (
        (bool(sweep.bases or sweep.adapters or sweep.prompts), "one base, one adapter and one prompt"),
        (not all(one.instruction_tuned for one in sweep.all), "one base"),
        (any(one.shots or one.asked is not None for one in sweep.all), "neither few-shot nor cascades"),
        (any(one.variant == "distillation" for one in sweep.all), "no distillation"),
        (not isinstance(experiment.adapter, LoRA), "LoRA as the adapter"),
        (not isinstance(tuning.optimizer, AdamW), "AdamW as the optimizer"),
        (tuning.packing or tuning.accumulation > 1, "neither packing nor accumulation"),
        (not tuning.steps or bool(tuning.steps % (tuning.eval_every or 1)), "steps in whole validations"),
        (bool(template.verbaliser), "no verbaliser"),
        ("validation" not in experiment.task.splits(), "a validation split"),
        (
            experiment.base.quantise != "none" or experiment.base.answer_in_int8,
            "a base that is not quantised",
        ),
    ):
        if wrong:
            raise SystemExit(f"benchmarks.study: expected {what}; use `fiat compare` for this sweep.")


class Packing:
    """Rows of tokens as runs read them, each kept once.

    Args:
      setups: of the cells.

    Attributes:
      tokens: read and learned in each step, by the name of the batches.
      splits: ids, languages and answers of the examples that are answered.
    """

    def __init__(self, setups: Setups) -> None:
        self._setups, self._inputs, self._targets = setups, Rows(), Rows()
        self._arrays: dict[str, np.ndarray] = {}
        self.tokens: dict[str, list[int]] = {}
        self.splits: dict[str, dict[str, Any]] = {}

    def arrays(self) -> dict[str, np.ndarray]:
        """What data.npz has."""
        return {**self._arrays, **self._inputs.arrays("inputs"), **self._targets.arrays("targets")}

    def run(self, cells: list[Cell]) -> dict[str, Any]:
        """A run, and what its cells answer."""
        first = cells[0]
        reads = {cell.name: self._answered(cell, "test") for cell in cells}
        if not first.paradigm.tuned:
            return {"cells": reads}
        return {
            "cells": reads,
            "validation": self._answered(first, "validation"),
            "learns": first.paradigm.learns,
            "seed": first.seed,
            "batches": self._learned(first),
            "rates": self._setups.sweep.rates(first.paradigm),
            "choosers": choosers(self._setups, cells),
        }

    def _learned(self, cell: Cell) -> str:
        """The batches of a cell by name, packed when they are first asked for; no rate changes them."""
        setups, mix = self._setups, cell.paradigm.mix
        name = "-".join([_reading(cell), *([mix.label] if mix else []), str(cell.size), str(cell.seed)])
        if name not in self.tokens:
            tuning = setups.tuning_of(cell, setups.sweep.rates(cell.paradigm)[0])
            batches = train_batches(setups.experiment_of(cell), tuning)
            steps = tuning.total(batches)
            self._arrays |= packed(name, batches, steps, self._inputs, self._targets)
            self.tokens[name] = [batches.tokens(step) for step in range(steps)]
        return name

    def _answered(self, cell: Cell, split: str) -> str:
        """The inputs of a split as a cell reads them, by name."""
        shown = cell.paradigm.shown if split == "test" else None
        name = f"{split}/{_reading(cell)}" + (f".{shown.label}" if shown else "")
        if name not in self._arrays:
            task = self._setups.task_of(cell)
            if shown is None:
                examples = load_examples(task, cell.paradigm.variant, split)
            else:
                examples = load_shown(task, split, shown)
            self._arrays[name] = np.array([self._inputs.add(row) for row in examples.inputs], np.int32)
            self._note(split, examples)
        return name

    def _note(self, split: str, examples: Examples) -> None:
        said: dict[str, Any] = {"ids": list(examples.ids), "languages": list(examples.languages)}
        said["answers"] = [list(answers) for answers in examples.answers]
        if self.splits.setdefault(split, said)["ids"] != said["ids"]:
            raise SystemExit(f"{split}: expected the same examples in all readings, found others.")


def _reading(cell: Cell) -> str:
    return cell.paradigm.variant + ("" if cell.paradigm.instructed else "_uninstructed")


def save(out: Path, setups: Setups) -> list[str]:
    """Writes base and vocabulary; gives the paths of what a frozen base keeps in its own dtype."""
    experiment = setups.experiment
    pretrained = experiment.base.open()
    save_base(out, pretrained.config, flatten_dict(pretrained.params(learned=True), sep="/"))
    vocabulary = find_vocabulary(experiment.task.vocabulary)
    if vocabulary is None or vocabulary.suffix != ".json":
        raise SystemExit(f"{experiment.task.vocabulary}: expected a vocabulary with a tokenizer.json.")
    shutil.copyfile(vocabulary, out / "tokenizer.json")
    frozen = flatten_dict(pretrained.params(), sep="/")
    return [path for path, leaf in frozen.items() if leaf.dtype != np.float32]


if __name__ == "__main__":
    main()
