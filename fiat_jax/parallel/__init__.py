"""Where arrays live: the device mesh and the rules that map logical axes to it."""

from fiat_jax.parallel.mesh import (
    RULES,
    Mesh,
    batch_rows,
    batch_sharding,
    partition,
    put_batch,
    replicated,
    shardings,
)

__all__ = [
    "RULES",
    "Mesh",
    "batch_rows",
    "batch_sharding",
    "partition",
    "put_batch",
    "replicated",
    "shardings",
]
