"""Published models from small to XXL, by their shapes alone: no weight is allocated."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax.traverse_util import flatten_dict
from published import MODELS

from fiat_jax.checkpoints.names import rows
from fiat_jax.models import T5, T5Config


@pytest.mark.parametrize("name", MODELS)
def test_the_model_declares_the_parameters_that_are_published(name):
    raw, tied, count = MODELS[name]
    config = T5Config.from_hf(raw, tied=tied)
    tokens = jnp.zeros((1, 1), jnp.int32)
    declared = nn.unbox(jax.eval_shape(T5(config).init, jax.random.key(0), tokens, tokens))["params"]
    shapes = {path: value.shape for path, value in flatten_dict(declared, sep="/").items()}
    assert shapes == {row.path: row.shape(config) for row in rows(config)}
    total = sum(map(math.prod, shapes.values()))
    assert total == count if isinstance(count, int) else total == pytest.approx(count, rel=0.03)
