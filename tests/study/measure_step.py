"""One training step run on this machine: prints the bytes of its arguments, and the most it took besides.
Run by test_planning.py, in a process of its own."""

import gc
import json
import re
import sys
from pathlib import Path

import jax
import numpy as np

from fiat_jax.adapters import LoRA
from fiat_jax.models import T5Config
from fiat_jax.parallel import Mesh
from fiat_jax.study.planning import Work, lower_step

CONFIG = T5Config(8192, 512, 64, 1024, 8, 4, 4, dtype="float32", dropout=0.0)


def work(remat: str, full: bool) -> Work:
    """A step whose arrays are large beside all else that a process holds."""
    config = T5Config(**{**vars(CONFIG), "remat": remat})
    return Work(config, None if full else LoRA(), Mesh(), 16, 256, 64)


def main(remat: str, full: str) -> None:
    lowered, shapes, _ = lower_step(work(remat, full == "full"))
    step = lowered.compile()
    arguments = jax.tree.map(_array, shapes)
    state, rest = arguments[0], arguments[1:]
    state, _ = jax.block_until_ready(step(state, *rest))  # what a process sets up once is no step's
    gc.collect()
    given = sum(x.nbytes for x in jax.tree.leaves((state, *rest[:2])))
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = _resident("VmRSS")
    jax.block_until_ready(step(state, *rest))
    print(json.dumps({"arguments": given, "besides": _resident("VmHWM") - before}))


def _array(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.device_put(jax.random.key(0), leaf.sharding)
    random = np.random.default_rng(0)
    if leaf.dtype == np.int32:
        return jax.device_put(random.integers(2, 90, leaf.shape).astype(np.int32), leaf.sharding)
    return jax.device_put(random.normal(scale=0.02, size=leaf.shape).astype(leaf.dtype), leaf.sharding)


def _resident(name: str) -> int:
    """Bytes, from the process's status."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found.group(1)) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
