"""Batches from the hosts to the devices, and results back.

A batch is one global array, its rows split over the axes data and fsdp. Which of them a process makes follows
from where its devices lie on those axes: processes that differ along tensor alone make the same rows.
"""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from fiat_jax.errors import ConfigError


def batch_rows(mesh: jax.sharding.Mesh) -> int:
    """Into how many shares the rows of a batch are split."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def batch_sharding(mesh: jax.sharding.Mesh) -> NamedSharding:
    """The sharding of arrays whose leading axis is the rows of a batch."""
    return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


def own_rows(rows: int, mesh: jax.sharding.Mesh) -> np.ndarray:
    """The positions of the rows of a batch that this process makes, int64, ascending; in one process, all.

    Args:
      rows: of the whole batch.
      mesh: the device mesh.

    Raises:
      ConfigError: the rows do not divide among the devices that share a batch.
    """
    holders = _holders(mesh)
    if rows % len(holders):
        raise ConfigError(
            f"batch_size: expected a multiple of the {len(holders)} devices that share a batch, found {rows}."
        )
    return np.arange(rows).reshape(len(holders), -1)[_own_shares(holders)].reshape(-1)


def put_batch(batch: Any, mesh: jax.sharding.Mesh) -> Any:
    """Global arrays of which this process gives its rows.

    Args:
      batch: a tree of numpy arrays, the leading axis that of `own_rows`.
      mesh: the device mesh.

    Raises:
      ConfigError: as `own_rows`.
    """
    holders = _holders(mesh)
    own = _own_shares(holders)
    rows = len(jax.tree.leaves(batch)[0]) * len(holders) // len(own)
    size = len(own_rows(rows, mesh)) // len(own)

    def put(values: np.ndarray) -> jax.Array:
        shares = dict(zip(own, values.reshape(len(own), size, *values.shape[1:]), strict=True))

        def share(index: Any) -> np.ndarray:
            return shares[(index[0].start or 0) // size]

        return jax.make_array_from_callback((rows, *values.shape[1:]), batch_sharding(mesh), share)

    return jax.tree.map(put, batch)


def fetch(tree: Any) -> Any:
    """The values of global arrays, whole and as numpy arrays, on every process; all must ask at once."""
    return multihost_utils.process_allgather(tree, tiled=True)


def _holders(mesh: jax.sharding.Mesh) -> np.ndarray:
    """The devices that hold each share of a batch, [shares, devices]."""
    return mesh.devices.reshape(batch_rows(mesh), -1)


def _own_shares(holders: np.ndarray) -> list[int]:
    here = jax.process_index()
    return [at for at, devices in enumerate(holders) if any(d.process_index == here for d in devices)]
