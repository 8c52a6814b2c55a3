"""Scores of a small model on one and on eight fake devices. Run by test_score.py; writes them."""

import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fiat_jax.decoding import first_step_log_probabilities, label_log_likelihoods, log_likelihoods
from fiat_jax.models import T5, T5Config
from fiat_jax.parallel import Mesh, fetch, put_batch, shardings

MODEL = T5(T5Config(66, 16, 4, 24, 2, 2, 2, dtype="float32"))


def main(out: str) -> None:
    key, tokens = jax.random.key(0), jnp.ones((1, 1), jnp.int32)
    random, found = np.random.default_rng(0), {}
    inputs, targets = random.integers(2, 66, (8, 9), np.int32), random.integers(2, 66, (8, 5), np.int32)
    for devices, mesh in (1, Mesh(1, 1, 1).build()), (8, Mesh(2, 2, 2).build()):
        places = shardings(jax.eval_shape(MODEL.init, key, tokens, tokens), mesh)
        init = jax.jit(lambda key: nn.unbox(MODEL.init(key, tokens, tokens)), out_shardings=places)
        with jax.set_mesh(mesh):
            variables, placed = init(key), put_batch({"inputs": inputs, "targets": targets}, mesh)
            here = placed["inputs"]
            scores = {
                "sums": log_likelihoods(MODEL, variables, here, placed["targets"])[0],
                "labels": label_log_likelihoods(MODEL, variables, here, targets[:3]),
                "first": first_step_log_probabilities(MODEL, variables, here, targets[0]),
            }
            assert all(score.is_fully_replicated for score in scores.values())
            found |= {f"{devices}/{name}": fetch(score) for name, score in scores.items()}
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
