"""Where arrays live: the device mesh, the rules that map logical axes to it, and the hosts that share it."""

from fiat_jax.parallel.mesh import RULES, Mesh, partition, replicated, shardings
from fiat_jax.parallel.placement import batch_rows, batch_sharding, fetch, own_rows, put_batch

__all__ = [
    "RULES",
    "Mesh",
    "batch_rows",
    "batch_sharding",
    "fetch",
    "own_rows",
    "partition",
    "put_batch",
    "replicated",
    "shardings",
]
