"""Three steps of a small model and each kind of adapter on one and on eight fake devices.

Run by test_step.py; writes what was learned.
"""

import math
import re
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from fiat_jax.adapters import IA3, Adapter, DoRA, PrefixTuning, SoftPrompt
from fiat_jax.models import T5, T5Config
from fiat_jax.models.quantised import boxed, quantise, with_kernel
from fiat_jax.parallel import RULES, Mesh, put_batch, shardings
from fiat_jax.training import AdamW, create_state, jit_step, state_shardings

PLAIN = dict(dtype="float32", dropout=0.1, gated=False, activation="relu")
# 66 words divide over the two devices of tensor and not over the four that share the base.
FLOATS = T5Config(66, 16, 4, 24, 2, 2, 2, remat="full", **PLAIN)
QUANTISED = T5Config(64, 64, 32, 128, 4, 2, 2, quantise="nf4", **PLAIN)
KINDS = {
    "dora": (FLOATS, DoRA(rank=4, targets=(".*/query", ".*/wo"))),
    "ia3 on nf4": (QUANTISED, IA3()),
    "prefix": (FLOATS, PrefixTuning(length=3)),
    "prompt": (FLOATS, SoftPrompt(length=3)),
}


def main(out: str) -> None:
    learned = {}
    for devices, mesh in (1, Mesh(1, 1, 1).build()), (8, Mesh(2, 2, 2).build()):
        assert_gathered_as_stored(mesh)
        for kind, (config, adapter) in KINDS.items():
            found = tune(mesh, config, adapter)
            learned |= {f"{devices}/{kind}/{name}": value for name, value in found.items()}
    np.savez(out, **learned)


def assert_gathered_as_stored(mesh: jax.sharding.Mesh) -> None:
    """Devices that share a quantised kernel send each other its codes and not its floats."""
    kernel, axes = quantise(jnp.ones((512, 512)), "nf4"), ("embed", "mlp")
    kernel = jax.device_put(kernel, shardings(boxed(kernel, axes), mesh))
    x = put_batch(np.ones((8, 512), np.float32), mesh)

    def product(kernel, x):
        with nn.logical_axis_rules(RULES):
            return with_kernel(lambda kernel, x: x @ kernel, kernel, axes, x)

    with jax.set_mesh(mesh):
        compiled = jax.jit(product).lower(kernel, x).compile().as_text()
    sent = re.findall(r"= (\w+)\[([\d,]+)\]\S* all-gather\(", compiled)
    sizes = {kind: math.prod(map(int, shape.split(","))) for kind, shape in sent}
    shared = mesh.shape["fsdp"] > 1
    assert ("u8" in sizes) == shared and sizes.get("f32", 0) <= 512, sizes


def tune(mesh: jax.sharding.Mesh, config: T5Config, adapter: Adapter) -> dict[str, np.ndarray]:
    """What three steps have learned, their losses, and how often the step was compiled."""
    model, key = T5(config, adapter, train=True), jax.random.key(0)
    tokens = jnp.ones((1, 1), jnp.int32)

    def init(key):
        return model.init({"params": key, "adapter": key, "dropout": key}, tokens, tokens)

    places = shardings(jax.eval_shape(init, key), mesh)
    with jax.set_mesh(mesh):
        variables = jax.jit(lambda key: nn.unbox(init(key)), out_shardings=places)(key)
        state = create_state(model, AdamW(learning_rate=1e-2), {"adapter": variables["adapter"]}, 3, 2)
        wanted = state_shardings(state, {"adapter": places["adapter"]}, mesh)
        state, step, losses = jax.device_put(state, wanted), jit_step(wanted, mesh), []
        random = np.random.default_rng(0)
        for _ in range(3):
            batch = {
                "inputs": random.integers(2, 64, (8, 9)).astype(np.int32),
                "targets": random.integers(2, 64, (8, 5)).astype(np.int32),
                "weights": np.ones((8, 5), np.float32),
            }
            state, metrics = step(state, {"params": variables["params"]}, put_batch(batch, mesh), key)
            losses.append(float(metrics["loss"]))
        assert jax.tree.all(jax.tree.map(lambda x, s: x.sharding == s, state.learned, wanted.learned))
    learned = {name: np.asarray(x) for name, x in flatten_dict(state.learned, sep="/").items()}
    return learned | {"losses": np.array(losses), "compiles": np.array(step._cache_size())}


if __name__ == "__main__":
    main(*sys.argv[1:])
