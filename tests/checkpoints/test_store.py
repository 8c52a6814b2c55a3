"""A run's checkpoints: which one is used, which are passed over, and that they lie on any mesh."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fiat_jax.checkpoints import CheckpointStore, abstract_like
from fiat_jax.checkpoints.inspection import flaw
from fiat_jax.errors import DataError

TREE = {"kernel": np.arange(6000, dtype=np.float32).reshape(60, 100), "scale": np.ones(3, np.float32)}


def parts(step):
    return {"learned": {name: x + step for name, x in TREE.items()}, "progress": {"step": jnp.int32(step)}}


def wanted():
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    tree = parts(0)
    return abstract_like(tree, jax.tree.map(lambda _: here, tree))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Checkpoints of steps 3 (the best) and 9 (the last)."""
    store = CheckpointStore(tmp_path_factory.mktemp("kept") / "checkpoints", best="f1")
    for step, f1 in (3, 50.0), (6, 20.0), (9, 10.0):
        store.save(step, parts(step), {"f1": f1}, {"examples": "abc"})
    store.close()
    return store.folder


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "checkpoints"))


def test_the_last_and_the_best_are_kept_and_found_again(folder):
    store = CheckpointStore(folder, best="f1")
    assert (store.steps(), store.latest(), store.best()) == ([3, 9], 9, 3)
    assert store.metrics(3) == {"f1": 50.0} and store.note(3) == {"examples": "abc"}
    assert store.restore(9, wanted())["progress"]["step"] == 9


def test_looking_leaves_a_folder_as_it_is(folder):
    half_written = folder / "12.orbax-checkpoint-tmp"
    half_written.mkdir()
    before = sorted(folder.rglob("*"))
    store = CheckpointStore(folder)
    store.restore(store.latest(), wanted())
    store.close()
    assert sorted(folder.rglob("*")) == before


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("harm", ["missing", "cut"])
def test_whatever_file_is_broken_the_newest_whole_checkpoint_is_used(original, tmp_path, caplog, harm):
    needed = set()
    for number, file in enumerate(files(original / "9")):
        folder = Path(shutil.copytree(original, tmp_path / str(number)))
        path = folder / "9" / file
        path.unlink() if harm == "missing" else os.truncate(path, path.stat().st_size // 2)
        caplog.clear()
        store = CheckpointStore(folder)
        step = store.latest()
        found = store.restore(step, wanted())
        np.testing.assert_array_equal(found["learned"]["kernel"], parts(step)["learned"]["kernel"])
        assert found["progress"]["step"] == step
        if step == 9:  # it was read in spite of that, and right
            continue
        (record,) = caplog.records
        assert record.message.startswith(f"{folder / '9'}: passed over, as it is broken: {path} ")
        needed.add(file.name if len(file.name) < 32 else file.parts[-3])
    # The arrays lie in what each process wrote; the index and small arrays beside it.
    assert needed >= {"_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt", "metrics", "ocdbt.process_0"}


def test_a_run_that_goes_on_puts_broken_checkpoints_aside(folder):
    os.truncate(folder / "9" / "_CHECKPOINT_METADATA", 10)
    store = CheckpointStore(folder)
    assert store.latest() == 3
    store.save(4, parts(4), None, {})
    store.close()
    assert sorted(path.name for path in folder.iterdir()) == ["4", "broken-9"]
    assert CheckpointStore(folder).latest() == 4


def test_without_a_whole_checkpoint_there_is_none(folder):
    for step in "39":
        shutil.rmtree(folder / step / "learned")
    store = CheckpointStore(folder, best="f1")
    assert (store.steps(), store.latest(), store.best()) == ([], None, None)


@pytest.mark.parametrize("place", ["9/learned/d/link", "9/learned/ocdbt.process_0", "link"])
def test_a_link_is_refused_before_anything_is_read(folder, tmp_path, place):
    (tmp_path / "outside").mkdir()
    link = folder / place
    shutil.rmtree(link, ignore_errors=True)
    link.symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match=rf"{place}: expected files and folders only.*link to .*outside"):
        CheckpointStore(folder)


def test_a_special_file_is_refused(folder):
    os.mkfifo(folder / "9" / "pipe")
    with pytest.raises(DataError, match=r"9/pipe: expected files and folders only.*a special file"):
        CheckpointStore(folder)


def test_parts_named_after_other_places_are_not_looked_for(folder):
    path = folder / "9" / "_CHECKPOINT_METADATA"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"item_handlers": {"../3/learned": "x"}}))
    assert "is missing" in flaw(folder / "9")


def test_a_checkpoint_of_something_else_is_refused(folder):
    store = CheckpointStore(folder)
    other = {"learned": {"bias": wanted()["learned"]["scale"]}}
    with pytest.raises(DataError, match="expected a checkpoint of this experiment"):
        store.restore(9, other)


def test_four_devices_write_what_one_and_eight_read_in_another_dtype(tmp_path):
    script = str(Path(__file__).with_name("keep_on_mesh.py"))
    for what, devices, axes in ("write", 4, "122"), ("read", 1, "111"), ("read", 8, "142"):
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
        words = [sys.executable, script, what, str(tmp_path / "checkpoints"), *axes]
        subprocess.run(words, env=os.environ | {"XLA_FLAGS": flags}, check=True)
