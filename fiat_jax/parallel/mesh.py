"""The mesh of devices, and the one table that maps logical axes to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from fiat_jax.errors import ConfigError
from fiat_jax.typing import Batch

AXES = ("data", "fsdp", "tensor")
# An axis of the mesh is used once per array: the first logical axis that asks for it gets it.
RULES = (
    ("batch", ("data", "fsdp")),
    ("vocab", "tensor"),
    ("heads", "tensor"),
    ("mlp", "tensor"),
    ("embed", "fsdp"),
    ("rank", None),
    ("layers", None),
    ("buckets", None),
    ("length", None),
)


@dataclass(frozen=True)
class Mesh:
    """How devices are arranged.

    Attributes:
      data: copies of the model, each with its share of the batch; -1 takes all devices that are left.
      fsdp: devices that share the base between them and gather it layer by layer.
      tensor: devices that split heads, feed-forward and vocabulary.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1

    def build(self, devices: Sequence[Any] | None = None) -> jax.sharding.Mesh:
        """The mesh over all devices.

        Args:
          devices: those of a plan; by default the ones at hand.

        Raises:
          ConfigError: the axes do not multiply to the number of devices.
        """
        devices = jax.devices() if devices is None else devices
        fixed = self.fsdp * self.tensor
        data = len(devices) // max(fixed, 1) if self.data == -1 else self.data
        if min(data, self.fsdp, self.tensor) < 1 or data * fixed != len(devices):
            raise ConfigError(
                f"Mesh: expected data x fsdp x tensor to be the {len(devices)} devices there are, found "
                f"{self.data} x {self.fsdp} x {self.tensor}; Mesh.data = -1 takes what the others leave."
            )
        shape, types = (data, self.fsdp, self.tensor), (AxisType.Auto,) * len(AXES)
        return jax.make_mesh(shape, AXES, axis_types=types, devices=devices)


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """The sharding of an array that every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def shardings(abstract: Any, mesh: jax.sharding.Mesh) -> Any:
    """A NamedSharding for every leaf of an abstract tree whose leaves name their logical axes."""
    return nn.logical_to_mesh_sharding(nn.get_partition_spec(abstract), mesh, RULES)


def batch_rows(mesh: jax.sharding.Mesh) -> int:
    """Into how many shares the rows of a batch are split."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def batch_sharding(mesh: jax.sharding.Mesh) -> NamedSharding:
    """The sharding of arrays whose leading axis is the rows of a batch."""
    return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


def put_batch(batch: Batch | np.ndarray, mesh: jax.sharding.Mesh) -> Any:
    """Places arrays with their leading axis split over the devices that share the batch.

    Raises:
      ConfigError: the rows do not divide among those devices.
    """
    shares = batch_rows(mesh)
    for leaf in jax.tree.leaves(batch):
        if leaf.shape[0] % shares:
            raise ConfigError(
                f"batch_size: expected a multiple of the {shares} devices that share a batch, "
                f"found {leaf.shape[0]}."
            )
    return jax.device_put(batch, batch_sharding(mesh))
