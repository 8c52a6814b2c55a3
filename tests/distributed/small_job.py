"""A job without a model: rows that go to the devices and come back, and what ends it. Run by test_job.py."""

import os
import signal
import sys

import jax
import numpy as np

from fiat_jax.errors import DataError, FiatError
from fiat_jax.parallel import Mesh, fetch, own_rows, put_batch
from fiat_jax.parallel.hosts import agreed, check_same, is_first, joined, leave


def place() -> None:
    here = jax.process_index()
    whole = {"inputs": np.arange(24).reshape(8, 3), "weights": np.arange(8.0)}
    halves = [[0, 1, 2, 3], [4, 5, 6, 7]]
    own = {
        Mesh(data=4): halves[here],  # two devices of each process, one after the other
        Mesh(data=2, tensor=2): halves[here],
        Mesh(data=1, fsdp=2, tensor=2): halves[here],
        Mesh(data=1, tensor=4): [*range(8)],  # processes that differ along tensor alone
    }
    for settings, rows in own.items():
        mesh = settings.build()
        assert own_rows(8, mesh).tolist() == rows, settings
        placed = put_batch({name: values[own_rows(8, mesh)] for name, values in whole.items()}, mesh)
        for name, values in fetch(placed).items():
            np.testing.assert_array_equal(values, whole[name], err_msg=f"{settings}, {name}")
    assert agreed(here + 5) == 5
    check_same("words", "the same")
    print("placed" if is_first() else "never shown")


def differ() -> None:
    check_same("words", f"of process {jax.process_index()}")


def fail() -> None:
    agreed(0)
    if jax.process_index() == 1:
        raise DataError("row 7 of process 1 is wrong.")
    agreed(0)


def die(which: int) -> None:
    agreed(0)
    if jax.process_index() == which:
        os.kill(os.getpid(), signal.SIGKILL)
    agreed(0)


if __name__ == "__main__":
    whats = {
        "place": place,
        "differ": differ,
        "fail": fail,
        "die": lambda: die(1),
        "die first": lambda: die(0),
    }
    try:
        with joined("job", startup=300, heartbeat=15, preemptible=False):
            whats[sys.argv[1]]()
    except FiatError as error:
        print(f"job: {error}", file=sys.stderr)
        leave(error.exit_code)
