"""Every kind of adapter under one budget on AfriQA, with instruction and rationale (FIAT).

    python benchmarks/adapters_afriqa.py --base T5_FOLDER --data AFRIQA_FOLDER --out OUT_DIR lora dora ia3
    python benchmarks/adapters_afriqa.py --base T5_FOLDER --data AFRIQA_FOLDER --out OUT_DIR --table

The budget of a kind: 300 training examples (75 a language), 100 steps of 4 examples, inputs to 192 tokens,
AdamW with warm-up and linear decay, no dropout, float32 but for the last three kinds. The learning rate is
the one of three with the lowest loss on 60 other examples of train, at seed 0, but LoRA's for the last three
kinds; then two seeds are scored on 200 test examples. What is done is passed over, so the same line goes on
after it was stopped. `--table` prints what there is as Markdown, with the time and memory of a step at one
fixed shape (batch 8, 256 to 32 tokens), which it measures in turns.
"""

import argparse
import json
import logging
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from fiat_jax import adapters
from fiat_jax.adapters import Adapter
from fiat_jax.checkpoints import Base
from fiat_jax.data import Jsonl, Task, Template
from fiat_jax.models.config import Dtype, Quantise
from fiat_jax.study.evaluation import evaluate_run
from fiat_jax.study.experiment import Experiment, assemble
from fiat_jax.study.tuning import Tuning, tune
from fiat_jax.training import AdamW, create_state, jit_step, state_shardings

LANGUAGES = ("bem", "hau", "ibo", "zul")
TRAIN, VALIDATION, TEST = 75, 15, 50
"""Examples a language."""
SEEDS = (0, 1)
STEPS, BATCH = 100, 4


class Kind(NamedTuple):
    """What is learned, the learning rates to choose among, and how the base is kept."""

    adapter: Adapter | None
    rates: tuple[float, ...]
    lora_b_ratio: float = 1.0
    dtype: Dtype = "float32"
    quantise: Quantise = "none"

    def on(self, experiment: Experiment) -> Experiment:
        """The experiment with what is learned, and the base kept so."""
        base = replace(experiment.base, dtype=self.dtype, quantise=self.quantise)
        return replace(experiment, adapter=self.adapter, base=base)


KINDS = {
    "full": Kind(None, (1e-4, 3e-4, 1e-3)),
    "lora": Kind(adapters.LoRA(), (3e-4, 1e-3, 3e-3)),
    "rslora": Kind(adapters.LoRA(rank_stabilised=True), (1e-4, 3e-4, 1e-3)),
    "lora_plus": Kind(adapters.LoRA(), (1e-4, 3e-4, 1e-3), lora_b_ratio=16.0),
    "dora": Kind(adapters.DoRA(), (3e-4, 1e-3, 3e-3)),
    "ia3": Kind(adapters.IA3(), (1e-2, 3e-2, 1e-1)),
    "soft_prompt": Kind(adapters.SoftPrompt(), (1e-1, 3e-1, 1.0)),
    "prefix": Kind(adapters.PrefixTuning(), (3e-2, 1e-1, 3e-1)),
    "lora_bf16": Kind(adapters.LoRA(), (1e-3,), dtype="bfloat16"),
    "lora_int8": Kind(adapters.LoRA(), (1e-3,), dtype="bfloat16", quantise="int8"),
    "lora_nf4": Kind(adapters.LoRA(), (1e-3,), dtype="bfloat16", quantise="nf4"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--base", type=Path, required=True, help="Hugging Face folder of a T5")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of LANGUAGE.{train,test,rationales}.jsonl"
    )
    parser.add_argument("--out", type=Path, required=True, help="where the runs go")
    parser.add_argument("--table", action="store_true", help="print the table of what is done")
    args = parser.parse_args()
    unknown = sorted(set(args.kinds) - set(KINDS))
    if unknown:
        parser.error(f"expected kinds among {', '.join(KINDS)}, found {', '.join(unknown)}")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    kinds = args.kinds or list(KINDS)
    experiment = afriqa(args.base, args.data, args.out)
    if args.table:
        print(table(experiment, [kind for kind in kinds if (args.out / f"{kind}.json").exists()], args.out))
        return
    for kind in kinds:
        path = args.out / f"{kind}.json"
        if not path.exists():
            path.write_text(json.dumps(measure(kind, experiment, args.out), indent=1) + "\n")


def afriqa(base: Path, data: Path, out: Path) -> Experiment:
    """The task on its share of the examples, which are written below `out`."""
    out.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        train, test = (
            (data / f"{language}.{split}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
            for split in ("train", "test")
        )
        shares = {
            "train": train[:TRAIN],
            "validation": train[TRAIN : TRAIN + VALIDATION],
            "test": test[:TEST],
        }
        for split, lines in shares.items():
            (out / f"{language}.{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    places = {split: f"{out}/{{language}}.{split}.jsonl" for split in shares}
    task = Task(
        name="afriqa",
        source=Jsonl(**places),
        template=Template(),
        vocabulary=str(base),
        rationales=f"{data}/{{language}}.rationales.jsonl",
        languages=LANGUAGES,
        inputs_length=192,
        targets_length=96,
    )
    return Experiment(task, Base(str(base), dtype="float32", dropout=0.0))


def measure(name: str, experiment: Experiment, out: Path) -> dict[str, Any]:
    """Losses on held-out examples by learning rate, and test scores by seed at the best."""
    kind, losses = KINDS[name], {}
    experiment = kind.on(experiment)

    def run(rate: float, seed: int) -> tuple[Path, dict[str, float]]:
        folder = out / name / f"{rate:g}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        optimizer = AdamW(learning_rate=rate, lora_b_ratio=kind.lora_b_ratio)
        tuning = Tuning(optimizer, batch_size=BATCH, steps=STEPS, save_every=0, seed=seed)
        started = time.monotonic()
        metrics = tune(folder, experiment, tuning)
        print(
            f"{name}  rate {rate:g}  seed {seed}  {time.monotonic() - started:.0f} s  {metrics}", flush=True
        )
        assert metrics is not None
        return folder, metrics

    folders = {}
    for rate in kind.rates:
        folders[rate], metrics = run(rate, SEEDS[0])
        losses[rate] = metrics["loss"]
    best = min(losses, key=losses.__getitem__)
    scores = {}
    for seed in SEEDS:
        folder = folders[best] if seed == SEEDS[0] else run(best, seed)[0]
        scores[seed] = evaluate_run(folder, experiment, "test", 32).metrics
    return {"losses": losses, "rate": best, "scores": scores}


def table(experiment: Experiment, names: list[str], out: Path) -> str:
    """Results as Markdown."""
    results = {name: json.loads((out / f"{name}.json").read_text()) for name in names}
    steps = measure_steps(experiment, names)
    lines = [
        "| kind | trainable | learning rate | " + " | ".join(f"F1, seed {seed}" for seed in SEEDS)
        + " | EM | s a step | GiB a step |",
        "|---|---|---|" + "---|" * (len(SEEDS) + 3),
    ]  # fmt: skip
    for name, result in results.items():
        f1 = " | ".join(f"{result['scores'][str(seed)]['f1']:.1f}" for seed in SEEDS)
        em = " / ".join(f"{result['scores'][str(seed)]['em']:.1f}" for seed in SEEDS)
        step = steps[name]
        lines.append(
            f"| {name} | {step.trainable:,} | {result['rate']:g} | {f1} | {em} | "
            f"{step.seconds:.2f} | {step.bytes / 2**30:.2f} |"
        )
    return "\n".join(lines)


class Step(NamedTuple):
    """Parameters learned, the median seconds of a step, and the compiled step's arguments and temporaries."""

    trainable: int
    seconds: float
    bytes: int


def measure_steps(experiment: Experiment, names: list[str], rounds: int = 7) -> dict[str, Step]:
    """The cost of a step of each kind: the kinds take turns, so that a busy moment does not fall on one."""
    random = np.random.default_rng(0)
    batch = {
        "inputs": random.integers(3, 30000, (8, 256)).astype(np.int32),
        "targets": random.integers(3, 30000, (8, 32)).astype(np.int32),
        "weights": np.ones((8, 32), np.float32),
    }
    key, steps, found, seconds = jax.random.key(0), {}, {}, {name: [] for name in names}
    for name in names:
        network = assemble(KINDS[name].on(experiment), seed=0)
        optimizer = AdamW(lora_b_ratio=KINDS[name].lora_b_ratio)
        state = create_state(network.model.clone(train=True), optimizer, network.learned, STEPS)
        places = state_shardings(state, network.placement, network.mesh)
        compiled = jit_step(places, network.mesh).lower(state, network.base, batch, key).compile()
        memory = compiled.memory_analysis()
        trainable = sum(leaf.size for leaf in jax.tree.leaves(network.learned))
        found[name] = trainable, memory.argument_size_in_bytes + memory.temp_size_in_bytes
        steps[name] = [compiled, state, network.base]
    for turn in range(rounds + 1):
        for name, (compiled, state, base) in steps.items():
            started = time.perf_counter()
            steps[name][1], metrics = compiled(state, base, batch, key)
            jax.block_until_ready(metrics)
            if turn:  # the first one warms up
                seconds[name].append(time.perf_counter() - started)
    return {
        name: Step(trainable, statistics.median(seconds[name]), size)
        for name, (trainable, size) in found.items()
    }


if __name__ == "__main__":
    main()
