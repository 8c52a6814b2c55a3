"""A checkpoint written on one mesh of fake devices, or read on another and in another dtype.
Run by test_store.py."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from fiat_jax.checkpoints import CheckpointStore, abstract_like
from fiat_jax.parallel import Mesh

VALUES = {"kernel": np.arange(96, dtype=np.float32).reshape(8, 12), "step": np.int32(7)}
SPECS = {"kernel": PartitionSpec("fsdp", "tensor"), "step": PartitionSpec()}


def main(what: str, folder: str, *axes: str) -> None:
    mesh = Mesh(*map(int, axes)).build()
    places = {name: NamedSharding(mesh, spec) for name, spec in SPECS.items()}
    store = CheckpointStore(Path(folder))
    if what == "write":
        store.save(7, {"learned": jax.device_put(VALUES, places)}, None, {"devices": mesh.size})
        store.close()
        return
    wanted = abstract_like(VALUES, places)
    wanted["kernel"] = wanted["kernel"].update(dtype=jnp.bfloat16)
    step = store.latest()
    found = store.restore(step, {"learned": wanted})["learned"]
    assert (step, store.note(step)) == (7, {"devices": 4})
    assert {name: x.sharding for name, x in found.items()} == places
    assert found["kernel"].dtype == jnp.bfloat16 and int(found["step"]) == 7
    np.testing.assert_array_equal(found["kernel"].astype(jnp.float32), VALUES["kernel"])


if __name__ == "__main__":
    main(*sys.argv[1:])
