"""The mesh and its rules; test_presets.py holds eight devices to one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import AbstractMesh, PartitionSpec

from fiat_jax.adapters import IA3, DoRA, LoRA, PrefixTuning, SoftPrompt
from fiat_jax.config import parse
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5, T5Config
from fiat_jax.models.axes import STATES, constrain
from fiat_jax.parallel import RULES, Mesh, partition, put_batch, shardings
from fiat_jax.parallel.mesh import AXES, check_rules
from fiat_jax.study.experiment import abstract_variables

CONFIG = T5Config(64, 16, 4, 32, 4, 2, 2)

ADAPTERS = [LoRA(rank=2), DoRA(rank=2), IA3(), PrefixTuning(length=3), SoftPrompt(length=3)]


def mesh_of(data, fsdp, tensor):
    return AbstractMesh((data, fsdp, tensor), AXES)


def named(*names, shape=(8, 8)):
    return nn.LogicallyPartitioned(jnp.zeros(shape), names)


def test_the_table_is_a_dozen_lines_at_most_and_uses_every_axis():
    assert len(RULES) <= 12
    used = [axis for _, axes in RULES for axis in (axes if isinstance(axes, tuple) else (axes,))]
    assert {axis for axis in used if axis} == set(AXES)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ((("heads", "tensor"), ("heads", None)), "heads: expected one rule, found 2"),
        ((("heads", "model"),), "heads: expected different axes among data, fsdp, tensor, found 'model'"),
        ((("batch", ("data", "data")),), r"batch: expected different axes .* found \('data', 'data'\)"),
    ],
)
def test_a_table_that_collides_is_refused(rules, reason):
    check_rules(RULES)
    with pytest.raises(ValueError, match=reason):
        check_rules(rules)


@pytest.mark.parametrize(
    ("names", "reason"),
    [(("embed", "batch"), "each axis of the mesh once"), (("embde",), "with a rule, found embde")],
)
def test_an_array_of_which_two_axes_want_one_of_the_mesh_or_one_has_no_rule_is_refused(names, reason):
    with pytest.raises(ValueError, match=reason):
        partition(names)


def test_an_activation_of_which_two_axes_want_one_of_the_mesh_is_refused():
    with nn.logical_axis_rules(RULES):
        assert constrain(jnp.ones((2, 2, 2)), STATES).shape == (2, 2, 2)
        with pytest.raises(ValueError, match="did not match a rule"):
            constrain(jnp.ones((2, 2)), ("batch", "embed"))


@pytest.mark.parametrize("adapter", ADAPTERS, ids=type)
def test_the_wide_side_of_what_is_learned_is_split_as_the_base_is(adapter):
    abstract = abstract_variables(T5(CONFIG, adapter))
    places = shardings(abstract, mesh_of(1, 2, 2))
    learned = jax.tree.leaves(nn.unbox(abstract["adapter"]))
    for place, leaf in zip(jax.tree.leaves(places["adapter"]), learned, strict=True):
        split = [size for size, axis in zip(leaf.shape, place.spec, strict=True) if axis]
        assert split == [max(leaf.shape)]
    kernel = places["params"]["encoder"]["layers"]["mlp"]["wo"]["kernel"]
    assert kernel.spec == PartitionSpec(None, "tensor", "fsdp")


def test_one_device_is_a_mesh_of_all_axes():
    assert dict(Mesh().build().shape) == {"data": 1, "fsdp": 1, "tensor": 1}


@pytest.mark.parametrize("mesh", [Mesh(data=3), Mesh(fsdp=2), Mesh(tensor=0), Mesh(data=-1, fsdp=-1)])
def test_axes_that_do_not_multiply_to_the_devices_are_refused_with_the_remedy(mesh):
    with pytest.raises(ConfigError, match=r"the 1 devices there are.*Mesh.data = -1"):
        mesh.build()


@pytest.mark.parametrize(
    ("mesh", "count", "sizes"),
    [
        (Mesh(), 8, (8, 1, 1)),
        (Mesh(data=2, fsdp=-1, tensor=2), 8, (2, 2, 2)),
        (Mesh(data=1, fsdp=2, tensor=1), 8, (1, 2, 1)),
        (Mesh(data=-1, fsdp=3), 8, None),
        (Mesh(data=3, fsdp=3, tensor=1), 8, None),
    ],
)
def test_one_axis_takes_what_the_others_leave_and_fewer_devices_are_used_where_that_is_asked_for(
    mesh, count, sizes
):
    assert mesh.sizes(count) == sizes


@pytest.mark.parametrize(
    ("preset", "mesh"),
    [
        ("one_device", Mesh(1, 1, 1)),
        ("data_parallel", Mesh(-1, 1, 1)),
        ("fsdp", Mesh(1, -1, 1)),
        ("fsdp_tensor", Mesh(1, -1, 2)),
        ("tensor", Mesh(1, 1, -1)),
    ],
)
def test_a_preset_is_this_mesh(preset, mesh):
    files = ["recipes/afriqa.gin", "models/flan_t5_small.gin", "runs/fiat.gin", f"meshes/{preset}.gin"]
    assert parse("train", files, ["train.run_dir=runs"]).arguments["experiment"].mesh == mesh


def test_a_size_that_does_not_divide_is_refused_with_those_that_do():
    arrays = {"a": named("embed", "heads", shape=(8, 12)), "b": named("heads", shape=(6,))}
    assert shardings(arrays, mesh_of(1, 4, 6))["b"].spec == PartitionSpec("tensor")
    sentence = "Mesh.tensor: expected a divisor of 6, the size of b along 'heads', found 4; take 1 or 2 or 3."
    with pytest.raises(ConfigError) as refused:
        shardings(arrays, mesh_of(1, 4, 4))
    assert str(refused.value) == sentence


def test_heads_are_not_cut_even_where_their_width_divides():
    six = T5Config(64, 16, 4, 32, 6, 2, 2)
    with pytest.raises(ConfigError, match=r"divisor of 6, .*relative_bias/embedding along 'heads'"):
        shardings(abstract_variables(T5(six)), mesh_of(1, 1, 4))


def test_a_vocabulary_that_does_not_divide_is_refused():
    with pytest.raises(ConfigError, match=r"Mesh.tensor: expected a divisor of 66, .*'vocab', found 4"):
        shardings(abstract_variables(T5(T5Config(66, 16, 4, 32, 4, 2, 2))), mesh_of(1, 1, 4))


def test_a_batch_is_placed_whole_on_one_device():
    rows = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(put_batch({"inputs": rows}, Mesh().build())["inputs"], rows)
