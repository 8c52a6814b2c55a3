"""Runs of one process share bases and programs, and still are what each is alone."""

from pathlib import Path

import fake_devices
import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from fiat_jax.checkpoints import loading
from fiat_jax.cli import main
from fiat_jax.config import parse
from fiat_jax.study.bases import Bases
from fiat_jax.study.experiment import assemble


@pytest.fixture
def read(monkeypatch):
    """The parameters that have been read, one entry a shard."""
    paths, real = [], loading.read_shard

    def counted(row, *rest):
        paths.append(row.path)
        return real(row, *rest)

    monkeypatch.setattr(loading, "read_shard", counted)
    return paths


def experiment(*bindings):
    return parse("Experiment", ["world.gin"], list(bindings)).run()


def test_a_base_that_runs_share_is_read_once(world, read):
    bases, (one, other) = Bases(), (experiment(), experiment("LoRA.rank=2", "Experiment.variant='plain'"))
    first = assemble(one, 0, bases)
    count = len(read)
    second = assemble(other, 1, bases)
    assert count and len(read) == count
    assert second.fingerprint == first.fingerprint
    for ours, theirs in zip(*(jax.tree.leaves(network.base) for network in (first, second)), strict=True):
        assert ours is theirs
    assemble(experiment("Base.dtype='bfloat16'"), 0, bases)
    assert len(read) == 2 * count


def test_a_base_that_is_learned_is_given_to_one_run_alone(world, read):
    bases, full = Bases(), experiment("Experiment.adapter=None")
    frozen = assemble(experiment(), 0, bases).base
    learned = assemble(full, 0, bases).learned
    before = jax.device_get(frozen)
    jax.tree.map(lambda array: array.delete(), learned)  # as a step does that donates it
    again = assemble(full, 0, bases).learned
    for ours, theirs, kept in zip(*map(jax.tree.leaves, (again, frozen, before)), strict=True):
        np.testing.assert_array_equal(ours, kept)
        np.testing.assert_array_equal(theirs, kept)


@pytest.mark.slow
def test_runs_side_by_side_are_those_one_after_the_other_which_compile_hardly_more(world):
    assert main(["cache", "--gin_file", "world.gin", "--gin.Task.cache=token_ids"]) == 0
    fake_devices.run(Path(__file__).with_name("side_by_side.py"), world)
    for seed in (0, 1):
        beside, after = (Path(f"{kind}{seed}") for kind in ("beside", "after"))
        ours, theirs = (load_file(one / "adapter" / "adapter_model.safetensors") for one in (beside, after))
        assert ours.keys() == theirs.keys()
        for name, values in ours.items():
            np.testing.assert_array_equal(values, theirs[name], name)
        ours, theirs = ((one / "predictions" / "test.jsonl").read_text() for one in (beside, after))
        assert ours == theirs
