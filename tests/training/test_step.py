"""One update: what it may change, and that how it is computed does not change what comes out."""

from functools import partial
from pathlib import Path

import fake_devices
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from fiat_jax.adapters import LoRA
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5, T5Config
from fiat_jax.parallel import Mesh, replicated
from fiat_jax.training import Adafactor, AdamW, create_state, cross_entropy, jit_step, train_step

CONFIG = T5Config(64, 16, 4, 24, 2, 2, 2, dtype="float32", dropout=0.0)
KEY = jax.random.key(0)
ADAMW = AdamW(learning_rate=1e-2)


def batch(rows=4):
    random = np.random.default_rng(0)
    inputs, targets = random.integers(2, 64, (rows, 9)), random.integers(2, 64, (rows, 5))
    weights = np.ones((rows, 5), np.float32)
    weights[0, 2:] = 0  # rows of unlike weight, so that means of means are not the mean
    return {"inputs": inputs.astype(np.int32), "targets": targets.astype(np.int32), "weights": weights}


@pytest.fixture(scope="module")
def variables():
    model = T5(CONFIG, LoRA(rank=4))
    tokens = jnp.ones((1, 1), jnp.int32)
    fresh = nn.unbox(jax.jit(model.init)({"params": KEY, "adapter": KEY}, tokens, tokens))
    return {**fresh, "adapter": jax.tree.map(lambda x: x + 0.1, fresh["adapter"])}


def run(variables, learned, steps=3, optimizer=ADAMW, **state):
    adapter = LoRA(rank=4) if learned == "adapter" else None
    model = T5(CONFIG, adapter, train=True)
    base = {"params": variables["params"]} if adapter else {}
    state = create_state(model, optimizer, {learned: variables[learned]}, 10, **state)
    step, losses = jax.jit(train_step), []
    for _ in range(steps):
        state, metrics = step(state, base, batch(), KEY)
        losses.append(float(metrics["loss"]))
    return state, losses


@pytest.mark.parametrize("learned", ["adapter", "params"])
def test_the_loss_of_one_batch_falls_for_an_adapter_and_for_the_base(variables, learned):
    state, losses = run(variables, learned, steps=10)
    assert losses[-1] < losses[0] - 0.1
    assert set(state.learned) == {learned}


def test_an_adapters_optimizer_holds_nothing_of_the_base(variables):
    state, _ = run(variables, "adapter", steps=1)
    learned = sum(x.size for x in jax.tree.leaves(state.learned))
    held = sum(x.size for x in jax.tree.leaves(state.opt_state))
    assert 2 * learned <= held < 2 * learned + 8


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_parts_weigh_as_one_batch(variables, parts):
    # Nearly plain gradients: Adam's magnify the rounding of those near zero, and a third step a hundredfold.
    plain = AdamW(learning_rate=0.1, epsilon=1.0, warmup=0.0)
    whole, losses = run(variables, "adapter", steps=2, optimizer=plain)
    split, split_losses = run(variables, "adapter", steps=2, optimizer=plain, accumulation=parts)
    np.testing.assert_allclose(split_losses, losses, rtol=1e-5)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), split.learned, whole.learned)


def test_a_batch_whose_parts_do_not_divide_among_the_devices_is_refused(variables):
    mesh, model = Mesh().build(), T5(CONFIG, LoRA(rank=4), train=True)
    state = create_state(model, AdamW(), {"adapter": variables["adapter"]}, 2, accumulation=3)
    step = jit_step(jax.tree.map(lambda _: replicated(mesh), state), mesh)
    with pytest.raises(ConfigError, match=r"Tuning.batch_size: expected a multiple of 3, .* found 4"):
        step(state, {"params": variables["params"]}, batch(rows=4), KEY)


def test_an_answer_counts_as_right_where_no_other_is_likelier():
    logits = jnp.array([[[1.0, 3.0, 2.0], [5.0, 4.0, 6.0], [1.0, 1.0, 0.0]]])
    sums = cross_entropy(logits, jnp.array([[1, 0, 1]]), jnp.ones((1, 3)))
    assert (float(sums.correct), float(sums.weight)) == (2.0, 3.0)


def test_tokens_of_weight_0_count_for_nothing():
    logits = jax.random.normal(KEY, (2, 3, 7))
    targets = jnp.array([[1, 2, 3], [4, 5, 6]])
    weights = jnp.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    sums = cross_entropy(logits, targets, weights)
    changed = cross_entropy(logits.at[0, 2].add(9.0).at[1, 1:].add(9.0), targets.at[1, 2].set(0), weights)
    assert float(sums.weight) == 3.0
    assert sums == changed
    log_probabilities = jax.nn.log_softmax(logits)
    by_hand = -(log_probabilities[0, 0, 1] + log_probabilities[0, 1, 2] + log_probabilities[1, 0, 4])
    assert float(sums.loss) == pytest.approx(float(by_hand), rel=1e-6)


@pytest.mark.parametrize("decay", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0, 1, 10])
def test_the_learning_rate_is_that_of_optax_schedules(decay, warmup):
    rate = AdamW(learning_rate=1e-3, warmup=warmup / 50, decay=decay).pace(50).rate
    falling = {
        "linear": optax.linear_schedule(1e-3, 0.0, 50 - warmup),
        "cosine": optax.cosine_decay_schedule(1e-3, 50 - warmup),
        "constant": optax.constant_schedule(1e-3),
    }[decay]
    rising = optax.linear_schedule(1e-3 / max(warmup, 1), 1e-3, max(warmup - 1, 1))
    expected = optax.join_schedules([rising, falling], [warmup]) if warmup else falling
    rates = [float(rate(step)) for step in range(51)]
    np.testing.assert_allclose(rates, [float(expected(step)) for step in range(51)], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("optimizer", "reference"),
    [
        (AdamW(3e-3, 0.0, "constant", weight_decay=0.1), optax.adamw(3e-3, weight_decay=0.1)),
        (Adafactor(3e-3, 0.0, "constant"), optax.adafactor(3e-3, multiply_by_parameter_scale=False)),
    ],
    ids=["AdamW", "Adafactor"],
)
def test_updates_are_those_of_optax_at_the_same_rate(optimizer, reference):
    reference = optax.chain(optax.clip_by_global_norm(1.0), reference)
    parameters = {"a": jax.random.normal(KEY, (200, 150)), "b": jnp.arange(3.0)}
    ours, theirs = optimizer.build(), reference
    state, other = ours.init(parameters), theirs.init(parameters)
    for scale in (1.0, -0.5):
        gradients = jax.tree.map(lambda x, scale=scale: scale * x**2, parameters)
        updates, state = ours.update(gradients, state, parameters, rate=optimizer.pace(9).rate(0))
        expected, other = theirs.update(gradients, other, parameters)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-9), updates, expected)


def test_runs_that_differ_in_rate_and_length_share_one_compiled_step(variables):
    mesh, model = Mesh().build(), T5(CONFIG, LoRA(rank=4), train=True)
    learned, functions = {"adapter": variables["adapter"]}, set()
    for rate, steps in ((1e-3, 5), (1e-2, 9)):
        state = create_state(model, AdamW(learning_rate=rate), jax.tree.map(jnp.copy, learned), steps)
        places = jax.tree.map(lambda _: replicated(mesh), state)
        step = jit_step(places, mesh)
        state, _ = step(jax.device_put(state, places), {"params": variables["params"]}, batch(), KEY)
        functions.add(step)
    assert len(functions) == 1 and step._cache_size() == 1


@pytest.mark.parametrize("optimizer", [AdamW(), Adafactor()])
def test_gradients_are_clipped_to_the_norm(optimizer):
    tx = optimizer.build()
    parameters = {"a": jnp.ones((4, 4))}
    state = tx.init(parameters)
    small, _ = tx.update({"a": jnp.full((4, 4), 10.0)}, state, parameters, rate=0.1)
    large, _ = tx.update({"a": jnp.full((4, 4), 1000.0)}, state, parameters, rate=0.1)
    np.testing.assert_allclose(small["a"], large["a"], rtol=1e-5)
    assert optax.global_norm(small) > 0


@pytest.mark.parametrize("settings", [{"warmup": 1.0}, {"learning_rate": 0.0}])
def test_impossible_schedules_are_refused(settings):
    with pytest.raises(ConfigError, match="Adafactor"):
        Adafactor(**settings)


@pytest.mark.slow
def test_eight_devices_compute_what_one_does_and_compile_once(tmp_path):
    out = tmp_path / "learned.npz"
    fake_devices.run(Path(__file__).with_name("run_on_mesh.py"), out)
    found = dict(np.load(out))
    assert {int(count) for name, count in found.items() if name.endswith("compiles")} == {1}
    for name in (name.removeprefix("1/") for name in found if name.startswith("1/")):
        np.testing.assert_allclose(found[f"8/{name}"], found[f"1/{name}"], 2e-4, 2e-5, err_msg=name)
