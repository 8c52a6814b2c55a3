"""The mesh and its rules; tests/training holds eight devices to one."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import PartitionSpec

from fiat_jax.errors import ConfigError
from fiat_jax.parallel import RULES, Mesh, put_batch, shardings
from fiat_jax.parallel.mesh import AXES


def test_every_logical_axis_has_one_rule_and_every_rule_names_axes_of_the_mesh():
    names = [name for name, _ in RULES]
    assert len(set(names)) == len(names) <= 12
    used = [axis for _, axes in RULES for axis in (axes if isinstance(axes, tuple) else (axes,))]
    assert {axis for axis in used if axis} == set(AXES)


def test_one_device_is_a_mesh_of_all_axes():
    assert dict(Mesh().build().shape) == {"data": 1, "fsdp": 1, "tensor": 1}


@pytest.mark.parametrize("mesh", [Mesh(data=3), Mesh(fsdp=2), Mesh(tensor=0)])
def test_axes_that_do_not_multiply_to_the_devices_are_refused_with_the_remedy(mesh):
    with pytest.raises(ConfigError, match=r"the 1 devices there are.*Mesh.data = -1"):
        mesh.build()


def test_an_axis_of_the_mesh_is_used_once_per_array():
    boxed = nn.LogicallyPartitioned(jnp.zeros((2, 4, 8)), names=("layers", "embed", "heads"))
    states = nn.LogicallyPartitioned(jnp.zeros((2, 4, 8)), names=("batch", "length", "embed"))
    found = shardings({"kernel": boxed, "states": states}, Mesh().build())
    assert found["kernel"].spec == PartitionSpec(None, "fsdp", "tensor")
    assert found["states"].spec[0] == ("data", "fsdp") and "fsdp" not in found["states"].spec[1:]


def test_a_batch_is_placed_whole_on_one_device():
    rows = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(put_batch({"inputs": rows}, Mesh().build())["inputs"], rows)
