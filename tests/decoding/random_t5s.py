"""Small T5s with random weights, and a way to ask a decoder."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fiat_jax.decoding import Answer, Decoder, Request
from fiat_jax.models import T5, T5Config
from fiat_jax.parallel import Mesh

CONFIG = T5Config(40, 16, 8, 24, 2, 2, 2, dtype="float32", dropout=0.0)
LENGTH = 12
WIDTHS = (8, 16, 32)


def random_t5(seed: int = 0, ends: float = 1.5, **changes):
    """A model and its variables; its words are far apart, and it likes to end more or less."""
    model, few = T5(replace(CONFIG, **changes)), jnp.ones((1, 1), jnp.int32)
    params = nn.unbox(jax.jit(model.init)(jax.random.key(seed), few, few))["params"]
    head = jax.random.normal(jax.random.key(seed + 100), params["lm_head"]["kernel"].shape)
    params["lm_head"]["kernel"] = head.at[:, model.config.eos_id].multiply(ends)
    return model, {"params": params}


def questions(count: int, longest: int = 30, seed: int = 0) -> list[Request]:
    """Requests of many lengths."""
    random = np.random.default_rng(seed)
    sizes = random.integers(2, longest, count)
    return [
        Request(np.append(random.integers(2, CONFIG.vocab_size, size), 1).astype(np.int32), seed=i)
        for i, size in enumerate(sizes)
    ]


def decoder(model, variables, search, batch_size=4, **how) -> Decoder:
    return Decoder(model, variables, Mesh().build(), LENGTH, search, batch_size, **{"buckets": WIDTHS} | how)


def ask(decoder, requests, order=None) -> list[Answer]:
    """The answers to requests that come in some order, as fast as they are taken."""
    waiting = list(range(len(requests)) if order is None else order)

    def take(count, idle):
        given = [(at, requests[at]) for at in waiting[:count]]
        del waiting[:count]
        return given or None

    answers = dict(decoder.run(take))
    assert len(answers) == len(requests)
    return [answers[at] for at in range(len(requests))]


def tokens_of(answers) -> list[list[list[int]]]:
    return [[ids.tolist() for ids in answer.tokens] for answer in answers]
