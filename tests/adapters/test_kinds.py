"""What every kind of adapter promises on a small T5."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.small import CONFIG, TOKENS, logits, moved, start, worst

from fiat_jax.adapters import IA3, DoRA, LoRA, PrefixTuning, SoftPrompt, largest_change, merge, unmerge
from fiat_jax.decoding import generate
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5
from fiat_jax.parallel import Mesh, shardings
from fiat_jax.training import AdamW, create_state, jit_step, state_shardings

MERGEABLE = {
    "lora": LoRA(rank=4, alpha=8.0),
    "rslora": LoRA(rank=4, alpha=2.0, rank_stabilised=True, ranks=((".*/wo", 2),)),
    "dora": DoRA(rank=4, alpha=8.0),
    "ia3": IA3(),
}
BESIDE = {"prefix": PrefixTuning(length=3), "soft prompt": SoftPrompt(length=3)}
KINDS = MERGEABLE | BESIDE


def each(adapters):
    """Those adapters; rsLoRA, which differs from LoRA in scale and ranks alone, with the slow tests."""
    marks = {"rslora": pytest.mark.slow}
    return pytest.mark.parametrize(
        "adapter", [pytest.param(one, id=name, marks=marks.get(name, ())) for name, one in adapters.items()]
    )


mergeable, beside, kinds = each(MERGEABLE), each(BESIDE), each(KINDS)


@mergeable
def test_a_new_adapter_of_linear_layers_changes_nothing(adapter):
    fresh = start(adapter)
    assert worst(logits(fresh, adapter), logits({"params": fresh["params"]})) < 1e-5


@mergeable
def test_merged_weights_give_the_logits_of_base_and_adapter(adapter):
    variables = moved(start(adapter))
    apart = logits(variables, adapter)
    together = logits({"params": merge(variables["params"], variables["adapter"], adapter)})
    assert worst(together, apart) < 1e-4
    assert worst(logits({"params": variables["params"]}), apart) > 1e-2


@mergeable
def test_an_adapter_is_taken_out_again_or_says_why_not(adapter):
    variables = moved(start(adapter))
    base, weights = variables["params"], variables["adapter"]
    merged = merge(base, weights, adapter)
    assert largest_change(base, merged) > 1e-2
    if isinstance(adapter, DoRA):
        with pytest.raises(ConfigError, match=r"DoRA.*use the base"):
            unmerge(merged, weights, adapter)
        return
    assert largest_change(base, unmerge(merged, weights, adapter)) < 1e-5


@kinds
def test_bfloat16_and_recomputation_give_what_float32_gives(adapter):
    variables = moved(start(adapter))
    expected = logits(variables, adapter)
    config = dataclasses.replace(CONFIG, dtype="bfloat16", remat="dots")
    difference = jnp.linalg.norm(logits(variables, adapter, config) - expected)
    assert difference / jnp.linalg.norm(expected) < 3e-2


@kinds
def test_decoding_step_by_step_gives_what_all_positions_at_once_give(adapter):
    variables = moved(start(adapter), seed=3)
    model, inputs = T5(CONFIG, adapter), TOKENS.at[0, 4:].set(0)
    tokens = generate(model, variables, inputs, 5)
    shifted = jnp.pad(tokens[:, :-1], ((0, 0), (1, 0)))
    likeliest = jnp.argmax(jax.jit(model.apply)(variables, inputs, shifted), axis=-1)
    alive = jnp.cumsum(jnp.pad(tokens == 1, ((0, 0), (1, 0)))[:, :-1], axis=1) == 0
    np.testing.assert_array_equal(tokens, jnp.where(alive, likeliest, 0))


@beside
def test_padding_changes_no_logit(adapter):
    variables = moved(start(adapter))
    padded = jnp.pad(TOKENS, ((0, 0), (0, 3)))
    assert worst(logits(variables, adapter, inputs=padded), logits(variables, adapter)) < 1e-5


@kinds
def test_every_weight_of_an_adapter_learns(adapter):
    fresh = start(adapter)
    config = dataclasses.replace(CONFIG, dropout=0.0, remat="full")
    mesh, model = Mesh().build(), T5(config, adapter, train=True)
    learned, base = {"adapter": fresh["adapter"]}, {"params": fresh["params"]}
    state = create_state(model, AdamW(learning_rate=1e-2, warmup=0.0), learned, 4)
    abstract = jax.eval_shape(
        model.init, dict.fromkeys(("params", "adapter", "dropout"), jax.random.key(0)), TOKENS, TOKENS
    )
    places = state_shardings(state, {"adapter": shardings(abstract, mesh)["adapter"]}, mesh)
    step, losses = jit_step(places, mesh), []
    state = jax.device_put(jax.tree.map(jnp.copy, state), places)
    for _ in range(4):
        batch = {"inputs": TOKENS, "targets": TOKENS, "weights": jnp.ones(TOKENS.shape)}
        state, metrics = step(state, base, batch, jax.random.key(1))
        losses.append(float(metrics["loss"]))
    changes = jax.tree.map(
        lambda x, y: float(jnp.abs(x - y).max()), fresh["adapter"], state.learned["adapter"]
    )
    assert min(jax.tree.leaves(changes)) > 1e-3
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_dora_is_its_formula_and_passes_no_gradient_through_the_norm():
    keys = jax.random.split(jax.random.key(0), 6)
    sizes = {"x": (5, 8), "kernel": (8, 12), "a": (8, 2), "b": (2, 12), "magnitude": (12,), "out": (5, 12)}
    x, kernel, a, b, magnitude, out = (
        jax.random.normal(key, size) for key, size in zip(keys, sizes.values(), strict=True)
    )
    adapter = DoRA(rank=2, alpha=1.0)

    def formula(a, b, magnitude):
        together = kernel + 0.5 * a @ b
        norm = jax.lax.stop_gradient(jnp.sqrt(jnp.sum(together**2, axis=0)))
        return jnp.sum(out * (x @ together * (magnitude / norm)))

    def ours(a, b, magnitude, dropped=None):
        weights = {"a": a, "b": b, "magnitude": magnitude}
        return jnp.sum(out * adapter.project("", x, kernel, weights, dropped))

    expected = jax.value_and_grad(formula, (0, 1, 2))(a, b, magnitude)
    close = lambda e, f: np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-4)  # noqa: E731
    jax.tree.map(close, expected, jax.value_and_grad(ours, (0, 1, 2))(a, b, magnitude))
    jax.tree.map(close, expected, jax.value_and_grad(ours, (0, 1, 2))(a, b, magnitude, dropped=x))


def test_dora_starts_at_the_norms_of_the_base_it_is_put_on():
    fresh = start(DoRA(rank=2), seed=5)
    kernel = fresh["params"]["encoder"]["layers"]["mlp"]["wo"]["kernel"]
    found = fresh["adapter"]["encoder"]["layers"]["mlp"]["wo"]["lora"]["magnitude"]
    np.testing.assert_allclose(found, jnp.linalg.norm(kernel, axis=1), rtol=1e-5)


def test_a_prefix_is_attended_to_in_every_attention():
    adapter = PrefixTuning(length=3)
    places = adapter.places(["encoder/layers/self_attention/query", "decoder/layers/mlp/wo"])
    assert places == ["encoder/layers/self_attention"]
    variables = moved(start(adapter))
    for stack, attention in (
        ("encoder", "self_attention"),
        ("decoder", "self_attention"),
        ("decoder", "cross_attention"),
    ):
        changed = jax.tree.map(lambda x: x, variables)
        prefix = changed["adapter"][stack]["layers"][attention]["prefix"]
        prefix["value"] = prefix["value"] + 1.0
        assert worst(logits(changed, adapter), logits(variables, adapter)) > 1e-3, (stack, attention)


def test_a_soft_prompt_is_what_the_encoder_reads_first():
    adapter = SoftPrompt(length=2)
    variables = start(adapter)
    embedding, first = variables["params"]["shared"]["embedding"], jnp.array([7, 9])
    variables["adapter"]["soft_prompt"]["prompt"] = embedding[first]
    written = jnp.concatenate([jnp.broadcast_to(first, (2, 2)), TOKENS], axis=1)
    assert worst(logits(variables, adapter), logits({"params": variables["params"]}, inputs=written)) < 1e-6


def test_a_soft_prompt_starts_where_it_is_told_to():
    embedding = start(None)["params"]["shared"]["embedding"]
    sampled = start(SoftPrompt(length=4))["adapter"]["soft_prompt"]["prompt"]
    assert all((embedding == row).all(axis=1).any() for row in sampled)
    random = start(SoftPrompt(length=4, start="random"))["adapter"]["soft_prompt"]["prompt"]
    assert not any((embedding == row).all(axis=1).any() for row in random)
    labelled = SoftPrompt(length=4, start="labels", labels=("yes", "no"))
    made = labelled.with_labels(sampled, embedding, [[5], [6, 7]])
    expected = [embedding[5], (embedding[6] + embedding[7]) / 2, *sampled[2:]]
    np.testing.assert_allclose(made, jnp.stack(expected), rtol=1e-6)
    for ids in ([[5]] * 5, [[5], []]):
        with pytest.raises(ConfigError, match=r"SoftPrompt\.labels"):
            labelled.with_labels(sampled, embedding, ids)


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (SoftPrompt, {"length": 0}),
        (SoftPrompt, {"start": "labels"}),
        (SoftPrompt, {"labels": ("yes",)}),
        (PrefixTuning, {"length": 0}),
        (PrefixTuning, {"targets": ()}),
        (PrefixTuning, {"targets": ("(",)}),
        (IA3, {"inputs": ("(",)}),
        (DoRA, {"rank": 0}),
    ],
)
def test_impossible_settings_are_refused(kind, setting):
    with pytest.raises(ConfigError, match=kind.__name__):
        kind(**setting)


def test_lora_plus_learns_b_faster_than_all_else():
    adapter = DoRA(rank=2, targets=("encoder/.*/wo",))
    variables = start(adapter)["adapter"]
    ones = jax.tree.map(jnp.ones_like, variables)
    plain, plus = (AdamW(learning_rate=0.1, warmup=0.0, lora_b_ratio=ratio).build() for ratio in (1.0, 16.0))
    one, sixteen = (o.update(ones, o.init(variables), variables, rate=0.1)[0] for o in (plain, plus))
    ratios = jax.tree.map(lambda x, y: float((y / x).mean()), one, sixteen)
    assert nn.unbox(ratios)["encoder"]["layers"]["mlp"]["wo"]["lora"] == pytest.approx(
        {"a": 1.0, "b": 16.0, "magnitude": 1.0}
    )
