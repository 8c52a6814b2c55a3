"""Real processes over loopback: they are one run, stop together, and go on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from processes import FIAT, QUICK, ends, fiat, start, start_one, wait_for_step
from safetensors.numpy import load_file
from study.conftest import write_jsonl, write_world

from fiat_jax.errors import ConfigError
from fiat_jax.parallel.hosts import job_of

TRAIN = ("train", "--gin_file", "world.gin", "--gin.Tuning.steps=40", "--gin.Tuning.eval_every=0")
# Batches of 4 leave 3 of the 7 test examples for a ragged last one.
EVAL, PREDICT = ("eval", "--gin.eval.batch_size=4"), ("predict", "--gin.predict.batch_size=4")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    rows = [
        {"question": f"what lies at {n}?", "context": f"at {n} lies it.", "id": f"new-{n}"} for n in range(5)
    ]
    write_jsonl(folder / "new.jsonl", rows)
    write_jsonl(folder / "why.jsonl", [{"id": row["id"], "rationale": "it is there"} for row in rows])
    return folder


def whole_story(world, run_dir, size, *words, devices=1):
    """Trains, scores and answers; returns what each process said to each."""
    said = [fiat(world, size, *TRAIN, "--run_dir", run_dir, *words, devices=devices)]
    said.append(fiat(world, size, *EVAL, "--run_dir", run_dir, devices=devices))
    said.append(
        fiat(
            world,
            size,
            *PREDICT,
            "--run_dir",
            run_dir,
            "--gin.predict.input=new.jsonl",
            f"--gin.predict.output={run_dir}.jsonl",
            "--gin.predict.rationales=why.jsonl",
            devices=devices,
        )
    )
    assert [code for one in said for code, *_ in one] == [0] * 3 * size, said
    return said


@pytest.fixture(scope="module")
def two(world):
    return whole_story(world, "two", 2)


def weights(world, run_dir):
    return load_file(world / run_dir / "adapter" / "adapter_model.safetensors")


def losses(world, run_dir):
    rows = map(json.loads, (world / run_dir / "metrics.jsonl").read_text().splitlines())
    return [(row["step"], row["loss"]) for row in rows if row["split"] == "train"]


def assert_same_weights(world, one, other):
    a, b = weights(world, one), weights(world, other)
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[name], b[name]) for name in a)


def assert_same_results(world, one, other):
    """Each example answered once and alike; weights and losses within float32's rounding."""
    a, b = weights(world, one), weights(world, other)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(losses(world, one), losses(world, other), rtol=1e-5)
    for path in ("predictions/test.jsonl", "../{}.jsonl"):
        first, second = ((world / run / path.format(run)).read_text() for run in (one, other))
        assert first == second and len(set(first.splitlines())) in (7, 5)


def test_two_processes_do_what_one_with_two_devices_does(world, two):
    whole_story(world, "one", 1, devices=2)
    assert_same_results(world, "one", "two")
    scored = [
        [json.loads(line) for line in (world / run / "metrics.jsonl").read_text().splitlines()][-1]
        for run in ("one", "two")
    ]
    assert scored[0]["split"] == "test" and scored[0] == pytest.approx(scored[1], rel=1e-5)


def test_only_the_first_process_writes_and_prints(world, two):
    for command in two:
        (_, shown, said), (_, hidden, quiet) = command
        for at, text in enumerate((said, quiet)):
            assert re.search(
                rf"^process {at} of 2, 1 devices here, 2 in all, coordinator 127.0.0.1:\d+$", text, re.M
            )
        left = [line for text in (hidden, quiet) for line in text.splitlines() if "[Gloo]" not in line]
        assert len(left) == 1, left
        assert len(shown.splitlines()) >= 1
    assert "40/40" in two[0][0][2]
    environment = json.loads((world / "two" / "environment.json").read_text())
    assert [one["processes"] for one in environment] == [2]


def test_stopped_or_killed_and_started_again_they_end_with_the_same_weights(world, two):
    words = (*FIAT, *TRAIN, *QUICK, "--run_dir", "again")
    processes = start(world, 2, *words)
    wait_for_step(world / "again", 10, processes)
    processes[1].send_signal(signal.SIGTERM)
    stopped = ends(processes)
    assert [code for code, *_ in stopped] == [75, 75], stopped
    steps = {re.search(r"asked to stop at step (\d+); saved", said)[1] for _, _, said in stopped}
    (step,) = map(int, steps)
    assert (world / "again" / "checkpoints" / str(step)).is_dir()

    processes = start(world, 2, *words)
    wait_for_step(world / "again", step + 8, processes)
    processes[1].kill()
    killed = time.monotonic()
    (code, _, said), _ = ends(processes)
    assert code == 75 and time.monotonic() - killed < 40
    assert "process 0 of 2: stopped, as another process of the job has died" in said.splitlines()[-1]

    assert [code for code, *_ in fiat(world, 2, *TRAIN, "--run_dir", "again")] == [0, 0]
    assert_same_weights(world, "again", "two")
    assert losses(world, "again") == losses(world, "two")


def test_rows_go_where_the_mesh_says_and_come_back(world):
    script = str(Path(__file__).with_name("place_rows.py"))
    first, second = ends(start(world, 2, script, devices=2))
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert first[1].splitlines()[-1] == "placed" and "never" not in second[1]


def test_one_that_waits_in_vain_says_what_to_do(world):
    words = (*FIAT, *TRAIN, "--distributed", "--join_timeout=2", "--run_dir", "alone")
    alone = start_one(world, 2, 1, "127.0.0.1:9", *words)
    ((code, _, said),) = ends([alone])
    assert code == 69
    assert re.search(
        r"fiat train: process 1: expected all 2 processes at 127.0.0.1:9 within 2 s.*on port 9\.$",
        said.splitlines()[-1],
    )
    assert not (world / "alone").exists()


def test_no_job_is_one_sentence_and_exit_code_2(world):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_PROC")}
    run = subprocess.run(
        [sys.executable, *FIAT, *TRAIN, "--distributed", "--run_dir", "alone"],
        cwd=world,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert re.search(r"JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID not set", run.stderr)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"JAX_COORDINATOR_ADDRESS": "host"}, "expected host:port"),
        ({"JAX_NUM_PROCESSES": "two"}, "expected a number, found 'two'"),
        ({"JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "2"}, "below the 2 processes"),
        ({"JAX_NUM_PROCESSES": "0"}, "below the 0 processes"),
    ],
)
def test_wrong_variables_are_named(variables, sentence):
    with pytest.raises(ConfigError, match=sentence):
        job_of(variables)


def test_variables_that_are_not_set_are_left_to_jax():
    assert job_of({}) == (None, None, None)
    job = job_of({"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"})
    assert job == ("a:1", 2, 1) and job.complete


@pytest.mark.slow
def test_four_processes_that_share_rows_end_alike_after_the_first_is_killed(world):
    mesh = ("--gin.Mesh.data=2", "--gin.Mesh.tensor=2")
    whole_story(world, "devices", 1, *mesh, devices=4)
    whole_story(world, "four", 4, *mesh)
    assert_same_results(world, "devices", "four")
    processes = start(world, 4, *FIAT, *TRAIN, *QUICK, *mesh, "--run_dir", "killed")
    wait_for_step(world / "killed", 10, processes)
    processes[0].kill()
    _, *others = ends(processes)
    for at, (code, _, said) in enumerate(others, start=1):
        assert code == 75 and f"process {at} of 4: stopped, as another process" in said, said
    assert [code for code, *_ in fiat(world, 4, *TRAIN, *mesh, "--run_dir", "killed")] == [0] * 4
    assert_same_weights(world, "killed", "four")
