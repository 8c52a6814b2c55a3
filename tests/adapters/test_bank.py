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
from flax.traverse_util import unflatten_dict

from fiat_jax.adapters import IA3, DoRA, LoRA, LoRABank, bank, check_kind, for_rows, merge
from fiat_jax.decoding import generate
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5
from fiat_jax.models.layout import laid_out

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
    return adapter, jax.tree.map(lambda leaf: random.normal(0, 0.1, leaf.shape).astype(np.float32), shapes)


def matrices(path, rank, inputs=16, outputs=8, layers=2):
    """What LoRA has learned in one place."""
    arrays = {"a": np.ones((layers, inputs, rank)), "b": np.ones((layers, rank, outputs))}
    return unflatten_dict({f"{path}/lora": arrays}, sep="/")


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
    model, variables = laid_out(T5(CONFIG, settings), {"params": base, "adapter": weights})
    variables = {**variables, "adapter": for_rows(variables["adapter"], jnp.array(ROWS))}
    found = generate(model, variables, INPUTS, 5)
    merged = [merge(base, weights, adapter) for adapter, weights in members] + [base]
    for at, row in enumerate(ROWS):
        alone = generate(T5(CONFIG), {"params": merged[row]}, INPUTS, 5)
        np.testing.assert_array_equal(found[at], alone[at])
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


def test_a_place_has_the_columns_of_those_that_adapt_it_with_their_scales():
    one, two = LoRA(rank=2, alpha=6.0), LoRA(rank=9, alpha=12.0, rank_stabilised=True)
    both, first = "encoder/layers/mlp/wo", "decoder/layers/mlp/wo"
    weights = matrices(both, 2) | matrices(first, 2, layers=1)
    settings, weights = bank([(one, weights), (two, matrices(both, 9))])
    assert settings.size == 2 and dict(settings.ranks) == {both: 11, first: 2}
    assert settings.adapts(both) and not settings.adapts("encoder/layers/mlp/wi_0")
    place = weights["encoder"]["layers"]["mlp"]["wo"]["bank"]
    shapes = {name: array.shape for name, array in place.items()}
    assert shapes == {"a": (2, 16, 11), "b": (2, 11, 8), "owner": (2, 11)}
    assert place["owner"].tolist() == [[0, 0] + [1] * 9] * 2
    assert place["b"][0, :, 0].tolist() == [3.0] * 2 + [4.0] * 9
    with_rows = for_rows(weights, jnp.array([1, 0, -1]))
    assert with_rows["encoder"]["layers"]["mlp"]["wo"]["bank"]["rows"].tolist() == [[1, 0, -1]] * 2
    assert with_rows["decoder"]["layers"]["mlp"]["wo"]["bank"]["rows"].tolist() == [[1, 0, -1]]


def test_a_bank_at_its_start_changes_nothing():
    settings, _ = bank([learned(LoRA(rank=2), 0)])
    fresh = start(settings)
    assert worst(logits(fresh, settings), logits({"params": fresh["params"]})) < 1e-6


@pytest.mark.parametrize("adapter", [DoRA(rank=2), IA3()], ids=["dora", "ia3"])
def test_an_adapter_of_another_kind_is_refused_by_number_and_kind(adapter):
    sentence = f"expected LoRA.*found {type(adapter).__name__}.*merge"
    with pytest.raises(ConfigError, match=f"adapter 1: {sentence}"):
        bank([(LoRA(rank=2), matrices("encoder/layers/mlp/wo", 2)), (adapter, {})])
    with pytest.raises(ConfigError, match=f"mine: {sentence}"):
        check_kind(adapter, "mine")


def test_adapters_for_bases_of_other_shapes_are_refused():
    adapter, place = LoRA(rank=2), "encoder/layers/mlp/wo"
    first = adapter, matrices(place, 2)
    for other in ({"inputs": 12}, {"outputs": 12}, {"layers": 3}):
        with pytest.raises(ConfigError, match=r"adapter 1: expected a \[2, 16, 2\].*mlp/wo.*one base"):
            bank([first, (adapter, matrices(place, 2, **other))])
    with pytest.raises(ConfigError, match=r"adapter 0: expected a \[2, 16, 2\].*found \[2, 16, 3\]"):
        bank([(adapter, matrices(place, 3))])
    with pytest.raises(ConfigError, match="at least one adapter"):
        bank([])


def test_a_number_that_no_adapter_has_is_refused_on_the_host():
    settings = LoRABank(2, (("encoder/layers/mlp/wo", 5),))
    settings.check(np.array([0, 1, -1]))
    for number in (2, -2):
        with pytest.raises(ConfigError, match=f"row 1: expected the number of an adapter.*found {number}"):
            settings.check([0, number])


def test_a_bank_is_not_merged():
    settings, weights = bank([(LoRA(rank=2), matrices("encoder/layers/mlp/wo", 2))])
    base = unflatten_dict({"encoder/layers/mlp/wo/kernel": np.ones((2, 16, 8))}, sep="/")
    with pytest.raises(ConfigError, match="expected one adapter to merge, found a bank of 1"):
        merge(base, weights, settings)


def test_eight_devices_give_what_one_gives(tmp_path):
    fake_devices.run(Path(__file__).with_name("bank_on_mesh.py"), tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    expected = found["one"]
    assert len(np.unique(expected.argmax(-1))) > 5
    for name in ("fsdp_tensor", "data"):
        assert np.abs(found[name] - expected).max() < 1e-5 * np.abs(expected).max()
