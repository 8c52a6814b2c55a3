"""Loads a base on a mesh of fake devices, checks it, and prints which share of the weights this process read.

Run by test_loading.py, once a process.
"""

import math
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from fiat_jax.checkpoints import huggingface
from fiat_jax.checkpoints.tensors import Tensor
from fiat_jax.models import T5
from fiat_jax.parallel import Mesh, shardings

reads: dict[str, np.ndarray] = {}
"""How often each value of each tensor was read."""


def counted(tensor, *index, read=Tensor.read):
    times = reads.setdefault(tensor.name, np.zeros(tensor.shape, int))
    times[tuple(slice(part.start, part.stop) for part in index)] += 1
    return read(tensor, *index)


def assert_placed(params, places, plain):
    for path, place in places.items():
        assert params[path].sharding == place, path
        assert params[path].dtype == plain[path].dtype, path
        for shard in params[path].addressable_shards:
            np.testing.assert_array_equal(shard.data, plain[path][shard.index], err_msg=path)


def main(folder: str, axes: str, address: str, processes: str, number: str) -> None:
    if int(processes) > 1:
        jax.distributed.initialize(address, int(processes), int(number))
    mesh = Mesh(*map(int, axes.split(","))).build()
    pretrained, tokens = huggingface.open_model(folder), jnp.ones((1, 1), jnp.int32)
    init = partial(T5(pretrained.config).init, jax.random.key(0), tokens, tokens)
    tree = shardings(jax.eval_shape(init), mesh)["params"]
    places, flat = flatten_dict(tree, sep="/"), partial(flatten_dict, sep="/")
    frozen, learned = flat(pretrained.params()), flat(pretrained.params(learned=True))

    Tensor.read = counted
    params = pretrained.params(tree)
    assert_placed(flat(params), places, frozen)
    assert max(times.max() for times in reads.values()) == 1
    share = sum(times.sum() for times in reads.values()) / sum(math.prod(x.shape) for x in frozen.values())

    # Devices that hold the same part may share its memory, and it may be donated all the same.
    params = pretrained.params(tree, learned=True)
    add = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0, out_shardings=tree)
    assert_placed(flat(add(params)), places, {path: value + 1 for path, value in learned.items()})

    stored = huggingface.open_model(folder, quantise="int8")
    init = partial(T5(stored.config).init, jax.random.key(0), tokens, tokens)
    tree = shardings(jax.eval_shape(init), mesh)["params"]
    found = stored.params(tree), tree, stored.params()
    assert_placed(*(dict(enumerate(jax.tree.leaves(each))) for each in found))
    print(share)


if __name__ == "__main__":
    main(*sys.argv[1:])
