"""A packed batch teaches what its examples teach in rows of their own."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from fiat_jax.adapters import IA3, DoRA, LoRA, PrefixTuning
from fiat_jax.data.packing import packed
from fiat_jax.models import T5, T5Config
from fiat_jax.training import AdamW, create_state, train_step
from fiat_jax.training.step import batch_loss

V11 = T5Config(64, 16, 4, 24, 2, 2, 2, dtype="float32", dropout=0.0)
V10 = replace(V11, gated=False, activation="relu", tied=True, scale_decoder_output=True)
CASES = {
    "UMT5, a bias in each layer, attention in parts": (
        replace(V11, bias_in_each_layer=True, attention_parts=2),
        LoRA(rank=4),
    ),
    "T5 v1.0, tied, with a prefix": (V10, PrefixTuning(length=3)),
    "T5 v1.0 with IA3": (V10, IA3()),
    "T5 v1.1, remat, with DoRA": (replace(V11, remat="full"), DoRA(rank=2)),
}
LENGTHS = [(9, 3), (4, 5), (7, 2), (3, 3), (5, 4), (12, 6)]


def batches():
    random = np.random.default_rng(0)
    inputs, targets = ([random.integers(2, 64, n).astype(np.int32) for n in one] for one in zip(*LENGTHS))  # noqa: B905
    alone = {
        "inputs": np.stack([np.pad(one, (0, 12 - len(one))) for one in inputs]),
        "targets": np.stack([np.pad(one, (0, 6 - len(one))) for one in targets]),
    }
    alone["weights"] = (alone["targets"] != 0).astype(np.float32)
    together = packed(inputs, targets, (20, 12), 4, 0)
    assert together["inputs_segments"].max() > 1 and len(together["inputs"]) == 4
    return alone, together


@pytest.mark.parametrize(
    "case", [name if at < 2 else pytest.param(name, marks=pytest.mark.slow) for at, name in enumerate(CASES)]
)
def test_loss_and_gradients_of_a_packed_batch_are_those_of_its_examples(case):
    config, adapter = CASES[case]
    model, tokens, key = T5(config, adapter), jnp.ones((1, 1), jnp.int32), jax.random.key(0)
    fresh = nn.unbox(jax.jit(model.init)({"params": key, "adapter": key}, tokens, tokens))
    learned = jax.tree.map(lambda x: x + 0.1, fresh["adapter"])

    @jax.jit
    def found(learned, batch):
        def loss(learned):
            sums = batch_loss(model, {"params": fresh["params"], "adapter": learned}, batch)
            return sums.loss / sums.weight, sums

        return jax.grad(loss, has_aux=True)(learned)

    (alone, sums), (together, packed_sums) = (found(learned, batch) for batch in batches())
    np.testing.assert_allclose(sums, packed_sums, rtol=1e-5)
    largest = max(float(jnp.abs(one).max()) for one in jax.tree.leaves(alone))
    assert largest > 1e-3
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * largest)


@pytest.mark.slow
def test_a_packed_step_in_parts_learns_what_one_of_separate_rows_does():
    model, tokens, key = T5(V11, LoRA(rank=4)), jnp.ones((1, 1), jnp.int32), jax.random.key(0)
    fresh = nn.unbox(jax.jit(model.init)({"params": key, "adapter": key}, tokens, tokens))
    learned = []
    for batch, parts in zip(batches(), (1, 2), strict=True):
        optimizer = AdamW(learning_rate=1e-2)
        state = create_state(model.clone(train=True), optimizer, {"adapter": fresh["adapter"]}, 10, parts)
        state, _ = jax.jit(train_step)(state, {"params": fresh["params"]}, batch, key)
        learned.append(state.learned)
    for one, other in zip(*map(jax.tree.leaves, learned), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
