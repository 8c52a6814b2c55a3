"""A batch whose rows have different adapters: each row is what its adapter alone gives it."""

import dataclasses
from functools import partial
from pathlib import Path

import fake_devices
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.small import CONFIG, logits, start, worst

from fiat_jax.adapters import IA3, DoRA, LoRA, bank, check_kind, for_rows, merge
from fiat_jax.decoding import greedy
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5

KEYS = dict.fromkeys(("params", "adapter"), jax.random.key(0))
ADAPTERS = (
    LoRA(rank=4, alpha=8.0),
    LoRA(rank=2, alpha=3.0, rank_stabilised=True, targets=(".*attention/(query|value)",)),
    LoRA(rank=3, targets=("decoder/.*",), ranks=((".*/wo", 5),), alphas=((".*/key", 9.0),)),
)
ROWS = (2, -1, 0, 1, 0)
INPUTS = jnp.arange(2, 32).reshape(5, 6).at[1, 3:].set(0)
TARGETS = INPUTS[:, ::-1]


def learned(adapter, seed, config=CONFIG):
    """An adapter with weights that change much, and its settings."""
    random = np.random.default_rng(seed)
    shapes = nn.unbox(jax.eval_shape(T5(config, adapter).init, KEYS, INPUTS, TARGETS))["adapter"]
    return adapter, jax.tree.map(lambda leaf: random.normal(0, 0.2, leaf.shape).astype(np.float32), shapes)


def forward(base, adapter=None, weights=None, config=CONFIG):
    variables = {"params": base} if adapter is None else {"params": base, "adapter": weights}
    return jax.jit(T5(config, adapter).apply)(variables, INPUTS, TARGETS)


def mixed_and_alone(rows, adapters, config=CONFIG):
    """Logits of a mixed batch, and by number those of each adapter alone and of the base."""
    base = start(None, config)["params"]
    members = [learned(adapter, seed, config) for seed, adapter in enumerate(adapters)]
    settings, weights = bank(members)
    mixed = forward(base, settings, for_rows(weights, jnp.array(rows)), config)
    every = {number: forward(base, *member, config) for number, member in enumerate(members)}
    return mixed, every | {-1: forward(base, config=config)}


def test_each_row_of_a_mixed_batch_has_the_logits_of_its_adapter_alone():
    mixed, alone = mixed_and_alone(ROWS, ADAPTERS)
    for at, row in enumerate(ROWS):
        assert worst(mixed[at], alone[row][at]) < 1e-5
        assert min(worst(mixed[at], alone[other][at]) for other in alone if other != row) > 1e-2


@pytest.mark.parametrize(
    ("settings", "limit"),
    [({"dtype": "bfloat16"}, 3e-2), ({"quantise": "int8"}, 1e-5)],
    ids=["bfloat16", "int8"],
)
def test_a_bank_works_in_bfloat16_and_on_a_quantised_base(settings, limit):
    rows = (0, -1, 1, 1, 0)
    mixed, alone = mixed_and_alone(rows, ADAPTERS[1:], dataclasses.replace(CONFIG, **settings))
    expected = jnp.stack([alone[row][at] for at, row in enumerate(rows)])
    assert jnp.linalg.norm(mixed - expected) / jnp.linalg.norm(expected) < limit


def test_rows_in_another_order_give_results_in_that_order_and_compile_once():
    base = start(None)["params"]
    settings, weights = bank([learned(adapter, seed) for seed, adapter in enumerate(ADAPTERS)])

    @jax.jit
    def program(rows, inputs):
        variables = {"params": base, "adapter": for_rows(weights, rows)}
        return T5(CONFIG, settings).apply(variables, inputs, inputs)

    rows, order = jnp.array(ROWS), jnp.array([3, 0, 4, 2, 1])
    assert worst(program(rows[order], INPUTS[order]), program(rows, INPUTS)[order]) < 1e-6
    program(jnp.full(5, -1, jnp.int32), INPUTS)
    assert program._cache_size() == 1


def test_decoding_writes_for_each_row_what_its_adapter_merged_writes():
    base = start(None)["params"]
    members = [learned(adapter, seed) for seed, adapter in enumerate(ADAPTERS)]
    settings, weights = bank(members)
    variables = {"params": base, "adapter": for_rows(weights, jnp.array(ROWS))}
    found = greedy(T5(CONFIG, settings), variables, INPUTS, 5)
    merged = [merge(base, weights, adapter) for adapter, weights in members] + [base]
    for at, row in enumerate(ROWS):
        np.testing.assert_array_equal(found[at], greedy(T5(CONFIG), {"params": merged[row]}, INPUTS, 5)[at])
    assert len({tuple(tokens) for tokens in found.tolist()}) > 2


def test_another_bank_of_the_same_columns_is_the_same_program_and_its_own_result():
    few = partial(LoRA, rank=2, targets=(".*/wo",))
    members = [learned(few(), 0), learned(few(alpha=1.0, rank_stabilised=True), 1)]
    (one, weights), (other, turned) = bank(members), bank(members[::-1])
    assert one == other and hash(one) == hash(other)
    base, zeros, ones = start(None)["params"], jnp.full(5, 0), jnp.full(5, 1)
    first = forward(base, one, for_rows(weights, zeros))
    assert worst(forward(base, one, for_rows(turned, ones)), first) < 1e-6
    assert worst(forward(base, one, for_rows(weights, ones)), first) > 1e-2


def test_a_place_has_the_columns_of_those_that_adapt_it_and_no_other_place_has_any():
    members = [learned(LoRA(rank=r, targets=(t,)), r) for r, t in ((2, ".*/query"), (3, "encoder/.*/query"))]
    settings, weights = bank(members)
    assert settings.size == 2 and dict(settings.ranks) == {
        "encoder/layers/self_attention/query": 5,
        "decoder/layers/self_attention/query": 2,
        "decoder/layers/cross_attention/query": 2,
    }
    place = weights["encoder"]["layers"]["self_attention"]["query"]["bank"]
    assert {name: array.shape for name, array in place.items()} == {
        "a": (2, 16, 5),
        "b": (2, 5, 8),
        "owner": (2, 5),
    }
    assert place["owner"].tolist() == [[0, 0, 1, 1, 1]] * 2
    assert set(weights["decoder"]["layers"]) == {"self_attention", "cross_attention"}


def test_a_bank_at_its_start_changes_nothing():
    settings, _ = bank([learned(LoRA(rank=2), 0)])
    fresh = start(settings)
    assert worst(logits(fresh, settings), logits({"params": fresh["params"]})) < 1e-6


@pytest.mark.parametrize("adapter", [DoRA(rank=2), IA3()], ids=lambda adapter: adapter.name)
def test_an_adapter_of_another_kind_is_refused_by_number_and_kind(adapter):
    with pytest.raises(ConfigError, match=f"adapter 1: expected LoRA.*found {type(adapter).__name__}.*merge"):
        bank([learned(LoRA(rank=2), 0), (adapter, {})])
    with pytest.raises(ConfigError, match=f"mine: expected LoRA.*found {type(adapter).__name__}"):
        check_kind(adapter, "mine")


def test_adapters_for_bases_of_other_shapes_are_refused():
    few = LoRA(rank=2, targets=(".*/wo",))
    for change in ({"d_model": 12}, {"num_decoder_layers": 2}, {"d_ff": 20}):
        other = learned(few, 1, dataclasses.replace(CONFIG, **change))
        with pytest.raises(ConfigError, match=r"adapter 1: expected a .* in \w+/layers/mlp/wo.*one base"):
            bank([learned(few, 0), other])
    with pytest.raises(ConfigError, match=r"adapter 0: expected a \[1, 24, 3\]"):
        bank([(dataclasses.replace(few, rank=3), learned(few, 0)[1])])
    with pytest.raises(ConfigError, match="at least one adapter"):
        bank([])


def test_a_number_that_no_adapter_has_is_refused_on_the_host():
    settings, _ = bank([learned(LoRA(rank=2), 0), learned(LoRA(rank=3), 1)])
    settings.check(np.array([0, 1, -1]))
    for number in (2, -2):
        with pytest.raises(
            ConfigError, match=f"row 1: expected the number of an adapter, 0 to 1.*found {number}"
        ):
            settings.check([0, number])


def test_a_bank_is_not_merged():
    variables = start(None)
    settings, weights = bank([learned(LoRA(rank=2), 0)])
    with pytest.raises(ConfigError, match="expected one adapter to merge, found a bank of 1"):
        merge(variables["params"], weights, settings)


def test_eight_devices_give_what_one_gives(tmp_path):
    fake_devices.run(Path(__file__).with_name("bank_on_mesh.py"), tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    expected = found["one"]
    assert len(np.unique(expected.argmax(-1))) > 5
    for name in ("fsdp_tensor", "data"):
        assert np.abs(found[name] - expected).max() < 1e-5 * np.abs(expected).max()
