"""What a base costs to load: one tensor above its size, and no byte that is not needed here."""

import json
import os
import socket
import subprocess
import sys
import weakref
from pathlib import Path

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from fiat_jax.checkpoints import Base, huggingface, tensors
from fiat_jax.checkpoints.loading import read_shard
from fiat_jax.checkpoints.names import rows
from fiat_jax.models import T5Config
from fiat_jax.models.quantised import is_quantised, quantise

GATED = Path(__file__).parents[1] / "golden" / "tiny_gated"
HERE = Path(__file__).parent


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_frozen_matrices_are_in_the_dtype_of_the_products_and_all_else_is_float32(dtype):
    _, exact = huggingface.load(GATED)
    frozen = flatten_dict(Base(str(GATED), dtype=dtype).open().params(), sep="/")
    for path, value in flatten_dict(exact, sep="/").items():
        matrix = path.endswith("/kernel") or path == "shared/embedding"
        wanted = value.astype(dtype) if matrix else value
        assert frozen[path].dtype == wanted.dtype
        np.testing.assert_array_equal(frozen[path], wanted, err_msg=path)


def test_a_learned_base_is_float32_throughout_and_exact():
    learned = Base(str(GATED), dtype="bfloat16").open().params(learned=True)
    jax.tree.map(np.testing.assert_array_equal, learned, huggingface.load(GATED)[1])
    assert {value.dtype for value in jax.tree.leaves(learned)} == {np.dtype("float32")}


def test_a_quantised_base_is_its_float_kernels_quantised_and_all_else_as_it_was():
    config, exact = huggingface.load(GATED, quantise="int8")
    found = flatten_dict(Base(str(GATED), dtype="float32", quantise="int8").open().params(), sep="/")
    for path, value in flatten_dict(exact, sep="/").items():
        inside = "/layers/" in path and path.endswith("/kernel")
        assert is_quantised(found[path]) == inside
        wanted = jax.jit(quantise, static_argnums=1)(value, config.quantise) if inside else value
        jax.tree.map(np.testing.assert_array_equal, found[path], wanted)


def test_one_tensor_at_a_time_is_held_besides_the_arrays(monkeypatch):
    read, alive, most = tensors.Tensor.read, weakref.WeakSet(), 0

    class Values(np.ndarray):
        __hash__ = object.__hash__

    def counted(tensor, *index):
        nonlocal most
        values = read(tensor, *index).view(Values)
        alive.add(values)
        most = max(most, len(alive))
        return values

    pretrained = huggingface.open_model(GATED)
    monkeypatch.setattr(tensors.Tensor, "read", counted)
    pretrained.params()
    assert most == 1


def test_a_part_of_a_parameter_is_that_part_of_the_whole_and_all_that_is_read(monkeypatch):
    pretrained, random, sizes = huggingface.open_model(GATED), np.random.default_rng(0), []
    whole, read = flatten_dict(pretrained.params(learned=True), sep="/"), tensors.Tensor.read

    def counted(tensor, *index):
        values = read(tensor, *index)
        sizes.append(values.size)
        return values

    monkeypatch.setattr(tensors.Tensor, "read", counted)
    for row in rows(pretrained.config):
        ends = [sorted(random.choice(size + 1, 2, replace=False)) for size in whole[row.path].shape]
        index = tuple(range(start, stop) for start, stop in ends)
        sizes.clear()
        part = read_shard(row, pretrained.config, pretrained.tensors, np.dtype("float32"), index)
        np.testing.assert_array_equal(part, whole[row.path][tuple(slice(*end) for end in ends)])
        assert sum(sizes) == part.size


def on_mesh(axes, devices, processes=1):
    """Runs load_on_mesh.py, which checks what is loaded; returns how much each process has read."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags}
    command = [sys.executable, str(HERE / "load_on_mesh.py"), str(GATED), axes, address, str(processes)]
    started = [
        subprocess.Popen([*command, str(number)], env=environment, stdout=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes
    return [float(output.split()[-1]) for output in outputs]


def test_eight_devices_get_what_one_gets_and_every_byte_is_read_once():
    assert on_mesh("2,2,2", devices=8) == [1.0]


@pytest.mark.slow
def test_a_process_reads_only_the_half_that_its_devices_hold():
    first, second = on_mesh("1,2,4", devices=4, processes=2)
    assert first == second
    assert 0.5 <= first < 0.51  # each holds all of the norms and biases by position


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A T5 of 150 MB in two files."""
    folder, random = tmp_path_factory.mktemp("big"), np.random.default_rng(0)
    raw = {"model_type": "t5", "vocab_size": 12288, "d_model": 512, "d_kv": 64, "d_ff": 1536, "num_heads": 8}
    raw |= {"num_layers": 4, "feed_forward_proj": "gated-gelu"}
    config = T5Config.from_hf(raw, tied=False)
    names = {name: row.their_shape(config) for row in rows(config) for name in row.names(config)}
    index = {}
    for shard in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        mine = list(names)[len(index) : len(index) + (len(names) + 1) // 2]
        save_file({n: random.standard_normal(names[n], dtype=np.float32) for n in mine}, folder / shard)
        index |= dict.fromkeys(mine, shard)
    (folder / "config.json").write_text(json.dumps(raw))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by Linux")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_base_loads_within_its_size_and_one_tensor_and_not_without_that_one(big, dtype):
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed leaves the process

    def load(tensors):
        command = [sys.executable, str(HERE / "load_in_little_memory.py"), str(big), dtype, tensors]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    enough, less = load("1"), load("0")
    assert enough.returncode == 0, enough.stderr
    assert less.returncode != 0 and "MemoryError" in less.stderr
