"""What `fiat plan` says of a training step, and what the step takes on the accelerator at hand.

    python benchmarks/plan_accelerator.py [--model t5-large ...] [--rows 32]

LoRA of rank 16 on every linear layer, AdamW, bfloat16, no dropout, inputs of 1024 tokens and targets of 128,
weights and tokens drawn at random. A step is compiled once, as the plan was, and timed after two others.
"""

import argparse
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import jax
import jax.numpy as jnp

from fiat_jax.adapters import LoRA
from fiat_jax.models import T5Config
from fiat_jax.parallel import Mesh
from fiat_jax.parallel.chips import GIB
from fiat_jax.study.planning import Work, lower_step, plan_step, useful_flops

DEEP = dict(vocab_size=32128, d_kv=64, num_encoder_layers=24, num_decoder_layers=24)
MODELS = {
    "t5-large": DEEP | dict(d_model=1024, d_ff=2816, num_heads=16),
    "t5-xl": DEEP | dict(d_model=2048, d_ff=5120, num_heads=32),
}
REMATS, STEPS = ("attention", "full"), 10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=MODELS, action="append", help="by default both")
    parser.add_argument("--rows", type=int, default=32, help="examples a step (32)")
    flags = parser.parse_args()
    names = ["chip", "model, remat", "TFLOP", "memory GB", "GiB planned", "GiB taken", "s at once"]
    names += ["s in turn", f"s a step, median of {STEPS}", "useful"]
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    rows = [(model, remat, flags.rows) for model in flags.model or MODELS for remat in REMATS]
    # A process each: the most memory that was ever taken is known of a process, and not of a step.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for line in pool.map(row, *zip(*rows, strict=True)):
            print(line, flush=True)


def row(model: str, remat: str, rows: int) -> str:
    """A line of the table."""
    work = Work(T5Config(**MODELS[model], dropout=0.0, remat=remat), LoRA(), Mesh(), rows, 1024, 128)
    plan = plan_step(work)
    seconds, taken = measured(work)
    cells = [plan.chip, f"{model}, {remat}", f"{plan.flops / 1e12:.1f}", f"{plan.traffic / 1e9:.0f}"]
    cells += [f"{plan.bytes / GIB:.1f}", f"{taken / GIB:.1f}"]
    cells += ["" if one is None else f"{one:.3f}" for one in (plan.together_s, plan.apart_s)]
    peak = plan.flops / plan.compute_s if plan.compute_s else float("nan")
    return f"| {' | '.join([*cells, f'{seconds:.3f}', f'{useful_flops(work) / peak / seconds:.0%}'])} |"


def measured(work: Work) -> tuple[float, int]:
    """Seconds of a step, and the most bytes that lay on the device meanwhile."""
    lowered, shapes, _ = lower_step(work)
    step = lowered.compile()
    state, *rest = jax.tree.map(drawn, shapes)
    seconds = []
    for _ in range(2 + STEPS):
        begun = time.monotonic()
        state, _ = jax.block_until_ready(step(state, *rest))
        seconds.append(time.monotonic() - begun)
    return statistics.median(seconds[2:]), (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)


def drawn(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    """An array at random, made where it is to lie."""
    key = jax.random.key(0)
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return key
    if jnp.issubdtype(leaf.dtype, jnp.integer):
        draw = jax.jit(lambda: jax.random.randint(key, leaf.shape, 2, 30000).astype(leaf.dtype))
    else:
        draw = jax.jit(lambda: (0.02 * jax.random.normal(key, leaf.shape)).astype(leaf.dtype))
    return draw()


if __name__ == "__main__":
    main()
