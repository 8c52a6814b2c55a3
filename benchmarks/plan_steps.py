"""What `fiat plan` counts of programs, against XLA's own summary and the time that they take here.

    python benchmarks/plan_steps.py

One network of 12 layers, unrolled and scanned, and its gradients: the same products, so the same FLOPs, and
on one machine about the same rate. XLA's summary counts a scanned layer once.
"""

import statistics
import time

import jax
import jax.numpy as jnp

from fiat_jax.parallel.costs import count
from fiat_jax.parallel.hlo import parse

LAYERS, ROWS, WIDTH = 12, 1024, 1024


def layer(x, kernel):
    return jnp.tanh(x @ kernel)


def unrolled(kernels, x):
    for kernel in kernels:
        x = layer(x, kernel)
    return x.sum()


def scanned(kernels, x):
    return jax.lax.scan(lambda x, kernel: (layer(x, kernel), None), x, kernels)[0].sum()


def main() -> None:
    kernels = jax.random.normal(jax.random.key(0), (LAYERS, WIDTH, WIDTH)) * WIDTH**-0.5
    x = jax.random.normal(jax.random.key(1), (ROWS, WIDTH))
    programs = {"unrolled": unrolled, "scanned": scanned}
    programs |= {f"{name}, gradient": jax.grad(program) for name, program in programs.items()}
    compiled = {name: jax.jit(program).lower(kernels, x).compile() for name, program in programs.items()}
    seconds = {name: [] for name in compiled}
    for _ in range(7):  # in turns, since a machine is not as fast at all times
        for name, program in compiled.items():
            begun = time.monotonic()
            jax.block_until_ready(program(kernels, x))
            seconds[name].append(time.monotonic() - begun)
    print("| program | GFLOP counted | by XLA's summary | s, median of 7 | GFLOP/s |\n|---|---|---|---|---|")
    for name, program in compiled.items():
        flops, median = count(parse(program.as_text())).flops, statistics.median(seconds[name])
        gigas = flops / 1e9, program.cost_analysis()["flops"] / 1e9
        print(f"| {name} | {gigas[0]:.2f} | {gigas[1]:.2f} | {median:.3f} | {gigas[0] / median:.0f} |")


if __name__ == "__main__":
    main()
