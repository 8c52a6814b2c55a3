"""Logits of a mixed batch on one and on eight fake devices; writes what came out. Run by test_bank.py."""

import sys
from functools import partial

import jax
import numpy as np
from flax import linen as nn

from fiat_jax.adapters import LoRA, bank, for_rows
from fiat_jax.models import T5, T5Config
from fiat_jax.parallel import RULES, Mesh, put_batch, shardings
from fiat_jax.study.experiment import abstract_variables

CONFIG = T5Config(128, 16, 4, 32, 8, 3, 3, dtype="float32")
ADAPTERS = (LoRA(rank=2), LoRA(rank=3, targets=(".*/query", ".*/wo"), rank_stabilised=True))
MESHES = {"one": Mesh(1, 1, 1), "fsdp_tensor": Mesh(1, 4, 2), "data": Mesh(8, 1, 1)}


@partial(jax.jit, static_argnums=0)
def forward(model, base, weights, batch):
    with nn.logical_axis_rules(RULES):
        variables = {"params": base, "adapter": for_rows(weights, batch["rows"])}
        return model.apply(variables, batch["inputs"], batch["inputs"])


def values(random, model):
    """Random variables, of a size at which every array matters."""
    shapes = nn.unbox(abstract_variables(model))
    return jax.tree.map(lambda leaf: random.normal(0, 0.3, leaf.shape).astype(np.float32), shapes)


def main(out: str) -> None:
    random = np.random.default_rng(0)
    settings, weights = bank([(each, values(random, T5(CONFIG, each))["adapter"]) for each in ADAPTERS])
    base, model = values(random, T5(CONFIG))["params"], T5(CONFIG, settings)
    batch = {
        "inputs": random.integers(2, CONFIG.vocab_size, (8, 11), np.int32),
        "rows": np.array([0, 1, -1, 1, 0, 0, -1, 1], np.int32),
    }
    found = {}
    for name, arranged in MESHES.items():
        mesh = arranged.build()
        places = shardings(abstract_variables(model), mesh)
        placed = jax.device_put(for_rows(weights, np.zeros(1)), places["adapter"])
        with jax.set_mesh(mesh):
            arguments = jax.device_put(base, places["params"]), placed, put_batch(batch, mesh)
            found[name] = jax.device_get(forward(model, *arguments))
    np.savez(out, **found)


if __name__ == "__main__":
    main(sys.argv[1])
