"""Loads a base on one device with no more memory than its size, a number of its largest tensors, and 8 MB.

Run by test_loading.py.
"""

import resource
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from fiat_jax.checkpoints import Base
from fiat_jax.models import T5
from fiat_jax.parallel import Mesh, shardings

SLACK = 8 * 2**20


def in_use() -> int:
    """Bytes of memory that is this process's alone; the pages of files are not."""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData"))


def main(folder: str, dtype: str, tensors: str) -> None:
    pretrained, tokens = Base(folder, dtype=dtype).open(), jnp.ones((1, 1), jnp.int32)
    init = partial(T5(pretrained.config).init, jax.random.key(0), tokens, tokens)
    shapes = jax.eval_shape(init)
    places = shardings(shapes, Mesh().build())["params"]
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    size = count * jnp.dtype(dtype).itemsize
    largest = max(4 * leaf.size for leaf in jax.tree.leaves(shapes))  # as the files hold it
    limit = in_use() + size + int(tensors) * largest + SLACK
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    jax.block_until_ready(pretrained.params(places))


if __name__ == "__main__":
    main(*sys.argv[1:])
