"""Two steps and two answers of a small model under each preset on eight fake devices; writes what came out.

Run by test_presets.py. The devices are those of one process, so that all presets are compared in it.
"""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from fiat_jax.adapters import LoRA, merge
from fiat_jax.config import parse
from fiat_jax.config.files import SHIPPED
from fiat_jax.decoding import generate
from fiat_jax.models import T5, T5Config
from fiat_jax.parallel import put_batch, shardings
from fiat_jax.study.experiment import abstract_variables
from fiat_jax.training import AdamW, create_state, eval_step, jit_step, state_shardings

CONFIG = T5Config(128, 16, 4, 32, 8, 3, 3, dtype="float32", dropout=0.0, gated=False, activation="relu")
ADAPTER = LoRA(rank=2, alpha=2.0, targets=(".*/query", ".*/wo"))
ROWS, INPUTS = 8, 11
TARGETS = {"adapter": 5, "params": 16}
"""So that the tokens of a batch are fewer than the words of the vocabulary, and not fewer."""
READ = ("fsdp_tensor",)
"""The presets whose programs are kept."""
# Adam that divides by no small number: it would magnify the rounding of gradients near zero.
OPTIMIZER = AdamW(learning_rate=1.0, warmup=0.0, decay="constant", epsilon=1.0)


@dataclass(frozen=True)
class Case:
    """A mesh, and the same variables placed on it."""

    mesh: jax.sharding.Mesh
    places: Any
    variables: Any


def main(out: str) -> None:
    found: dict[str, Any] = {}
    model, variables = T5(CONFIG, ADAPTER), start()
    for preset in sorted(path.stem for path in (SHIPPED / "meshes").glob("*.gin")):
        mesh = mesh_of(preset)
        places = shardings(abstract_variables(model), mesh)
        case = Case(mesh, places, jax.device_put(variables, places))
        with jax.set_mesh(mesh):
            for learned in TARGETS:
                found |= {f"{preset}/{learned}/{name}": x for name, x in two_steps(case, learned).items()}
            found |= {f"{preset}/{name}": x for name, x in answers(case).items()}
            if preset in READ:
                found |= {f"{preset}/{name}": x for name, x in programs(case).items()}
    np.savez(out, **found)


def mesh_of(preset: str) -> jax.sharding.Mesh:
    """The mesh of a gin file."""
    files = ["recipes/afriqa.gin", "models/flan_t5_small.gin", "runs/fiat.gin", f"meshes/{preset}.gin"]
    return parse("train", files, ["train.run_dir=runs"]).arguments["experiment"].mesh.build()


def start() -> Any:
    """Random variables, of a size at which every array matters to answers and gradients."""
    random, shapes = np.random.default_rng(0), nn.unbox(abstract_variables(T5(CONFIG, ADAPTER)))
    return jax.tree.map(lambda leaf: random.normal(0, 0.3, leaf.shape).astype(np.float32), shapes)


def batch(seed: int, targets: int) -> Any:
    random = np.random.default_rng(seed)
    inputs, words = (random.integers(2, CONFIG.vocab_size, (ROWS, size)) for size in (INPUTS, targets))
    weights = np.ones((ROWS, targets), np.float32)
    return {"inputs": inputs.astype(np.int32), "targets": words.astype(np.int32), "weights": weights}


def training(case: Case, learned: str) -> tuple[Any, Any, Any]:
    """A compiled step, its state and what is frozen."""
    model = T5(CONFIG, ADAPTER if learned == "adapter" else None, train=True)
    base = {"params": case.variables["params"]} if learned == "adapter" else {}
    state = create_state(model, OPTIMIZER, {learned: jax.tree.map(jnp.copy, case.variables[learned])}, 2)
    places = state_shardings(state, {learned: case.places[learned]}, case.mesh)
    return jit_step(places, case.mesh), jax.device_put(state, places), base


def two_steps(case: Case, learned: str) -> dict[str, Any]:
    """What the first step changes and reports, and how often two of them compile."""
    step, state, base = training(case, learned)
    placed = partial(put_batch, mesh=case.mesh)
    state, metrics = step(state, base, placed(batch(0, TARGETS[learned])), jax.random.key(0))
    kept = {"learned": state.learned, "optimizer": list(jax.tree.leaves(state.opt_state))}
    kept = {jax.tree_util.keystr(path): x for path, x in jax.tree.leaves_with_path(jax.device_get(kept))}
    lie = jax.tree.map(lambda x: x.sharding, state.learned)
    step(state, base, placed(batch(1, TARGETS[learned])), jax.random.key(0))
    return {
        **{f"kept/{path}": x for path, x in kept.items()},
        **{f"kept/{name}": np.asarray(x) for name, x in metrics.items()},
        "compiles": step._cache_size(),
        "as placed": lie == {learned: case.places[learned]},
    }


def answers(case: Case) -> dict[str, Any]:
    """Answers of the adapter merged into its base, their likelihood, and how often each compiles."""
    merging = jax.jit(partial(merge, adapter=ADAPTER), out_shardings=case.places["params"])
    weights = {"params": merging(case.variables["params"], case.variables["adapter"])}
    before, model = (generate._cache_size(), eval_step._cache_size()), T5(CONFIG)
    batches = [put_batch(batch(seed, TARGETS["adapter"]), case.mesh) for seed in (0, 1)]
    tokens = [generate(model, weights, each["inputs"], 6) for each in batches]
    sums = [eval_step(model, weights, each) for each in batches]
    return {
        "tokens": np.asarray(tokens),
        "losses": np.asarray([each.loss for each in sums]),
        "compiles of greedy": generate._cache_size() - before[0],
        "compiles of eval_step": eval_step._cache_size() - before[1],
        "whole": all(x.sharding.is_fully_replicated for x in jax.tree.leaves((tokens, sums))),
    }


def programs(case: Case) -> dict[str, str]:
    """The compiled programs of a LoRA step and of decoding."""
    step, state, base = training(case, "adapter")
    placed = put_batch(batch(0, TARGETS["adapter"]), case.mesh)
    decoding = generate.lower(T5(CONFIG), {"params": case.variables["params"]}, placed["inputs"], 6)
    stepping = step.lower(state, base, placed, jax.random.key(0))
    return {"step": stepping.compile().as_text(), "greedy": decoding.compile().as_text()}


if __name__ == "__main__":
    main(str(Path(sys.argv[1])))
