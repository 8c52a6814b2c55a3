"""What the data pipeline gives, against what the train step needs.

    python benchmarks/pipeline.py --base T5_FOLDER --data AFRIQA_FOLDER [--repeats 5]

AfriQA in the fiat variant, 800 training examples of inputs to 400 tokens. Each way to read them runs in a
process of its own, a few times, and the median is shown: seconds of its imports, seconds until the token ids
are there, each with the processor's seconds, which mean more on a machine with other work; examples a second
of the wait, and peak memory. Then batches alone, from token ids to arrays, and the
train step that reads them: LoRA on the base, batch 16, in float32 on this machine's devices. The same is set
against a T5-large on an H200, from the step time that docs/plan.md reports. Padding is the share of the input
slots that hold no token, in batches as training makes them: by length, at random, and packed.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

BATCH, INPUTS, TARGETS = 16, 400, 72
H200 = {"t5-large": (32, 0.581)}
"""Rows and seconds of a measured step of LoRA on inputs of 1024 tokens, from docs/plan.md ('On a GPU')."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, required=True, help="folder of a T5 as transformers has it")
    parser.add_argument("--data", type=Path, required=True, help="folder of AfriQA's rows")
    parser.add_argument("--repeats", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.read:
        print(json.dumps(read(flags, flags.read, flags.cache)))
        return
    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder, "cache"))
        print(f"{'':<8}{'imports s':>10}{'cpu':>7}{'read s':>8}{'cpu':>7}{'examples/s':>12}{'peak MB':>9}")
        for way in ("seqio", "write", "cache"):
            repeats = 1 if way == "write" else flags.repeats
            found = [in_process(flags, way, cache) for _ in range(repeats)]
            imports, its_cpu, seconds, cpu, count, peak = map(statistics.median, zip(*found, strict=True))
            line = f"{way:<8}{imports:10.1f}{its_cpu:7.1f}{seconds:8.2f}{cpu:7.2f}"
            print(f"{line}{count / seconds:12.0f}{peak:9.0f}", flush=True)
        examples = load(flags, cache)
    rate = batching(examples, flags.repeats)
    print(f"batches: {rate:.0f} examples/s")
    step, share = train_step(flags, examples, flags.repeats)
    needs = {"this T5 here": (BATCH, step), **{f"H200, {name}": one for name, one in H200.items()}}
    for name, (rows, seconds) in needs.items():
        times = rate * seconds / rows
        print(f"{name}: {rows} rows in {seconds:.3f} s; batches come {times:.0f} times as fast")
    print(f"input share of the step time here: {100 * share:.2f} %")


def task(flags: argparse.Namespace, cache: str | None):
    from fiat_jax.data import Jsonl, Task, Template

    place = f"{flags.data}/{{language}}"
    return Task(
        "afriqa",
        Jsonl(train=f"{place}.train.jsonl"),
        Template(),
        str(flags.base),
        rationales=f"{place}.rationales.jsonl",
        languages=("bem", "hau", "ibo", "zul"),
        inputs_length=INPUTS,
        targets_length=TARGETS,
        cache=cache,
    )


def load(flags: argparse.Namespace, cache: str | None):
    from fiat_jax.data import load_examples

    return load_examples(task(flags, cache), "fiat", "train")


def read(flags: argparse.Namespace, way: str, cache: str) -> list[float]:
    """Seconds of imports and of reading, each with the processor's; examples; peak memory in MB."""
    clocks = [(time.monotonic(), time.process_time())]
    if way != "cache":
        import fiat_jax.data.tensorflow  # noqa: F401
    from fiat_jax.data.pipeline import write_cache

    clocks.append((time.monotonic(), time.process_time()))
    if way == "write":
        every = write_cache(task(flags, cache))
        count = sum(int(said.split()[0]) for _, _, said in every if said[0].isdigit())
    else:
        examples = load(flags, cache if way == "cache" else None)
        count = sum(1 for pair in zip(examples.inputs, examples.targets, strict=True) if len(pair))
    clocks.append((time.monotonic(), time.process_time()))
    spent = [after - before for pair in pairwise(clocks) for before, after in zip(*pair, strict=True)]
    return [*spent, count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]


def in_process(flags: argparse.Namespace, way: str, cache: str) -> list[float]:
    command = [sys.executable, __file__, "--base", str(flags.base), "--data", str(flags.data)]
    done = subprocess.run(
        [*command, "--read", way, "--cache", cache], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def batching(examples, repeats: int) -> float:
    """Examples a second of batches made anew, an epoch at a time."""
    from fiat_jax.data import TrainBatches

    def epoch() -> float:
        begun, batches = time.monotonic(), TrainBatches(examples, BATCH, seed=0)
        steps = int(batches.steps_per_epoch)
        for step in range(steps):
            batches.batch(step)
        return steps * BATCH / (time.monotonic() - begun)

    return statistics.median(epoch() for _ in range(repeats))


def train_step(flags: argparse.Namespace, examples, repeats: int) -> tuple[float, float]:
    """Median seconds of a step that LoRA takes, and the share of them that it waits for its batch."""
    import jax

    from fiat_jax.adapters import LoRA
    from fiat_jax.checkpoints import Base
    from fiat_jax.data import TrainBatches
    from fiat_jax.parallel import Mesh, put_batch
    from fiat_jax.study.experiment import Experiment, assemble
    from fiat_jax.training import AdamW, create_state, jit_step, state_shardings
    from fiat_jax.training.prefetch import Prefetch

    base = Base(str(flags.base), dtype="float32")
    network = assemble(Experiment(task(flags, None), base, "fiat", LoRA(rank=16), Mesh()), seed=0)
    model = network.model.clone(train=True)
    state = create_state(model, AdamW(learning_rate=1e-3), network.learned, 100)
    places = state_shardings(state, network.placement, network.mesh)
    state, step_fn = jax.device_put(state, places), jit_step(places, network.mesh)
    batches, seconds, waits = TrainBatches(examples, BATCH, seed=0), [], []
    steps = 2 * repeats + 8  # the first window of eight has seen every shape

    def made(step: int):
        return put_batch(batches.batch(step % 8), network.mesh)

    with jax.set_mesh(network.mesh), Prefetch(made, 0, steps) as coming:
        for _ in range(steps):
            begun, waited = time.monotonic(), coming.waited
            state, metrics = step_fn(state, network.base, coming.take(), jax.random.key(0))
            jax.block_until_ready(metrics)
            seconds.append(time.monotonic() - begun)
            waits.append(coming.waited - waited)
    seconds, waits = seconds[8:], waits[8:]
    return statistics.median(seconds), sum(waits) / sum(seconds)


if __name__ == "__main__":
    main()
