"""Real processes over loopback: they are one run, stop together, and go on."""

import json
import os
import re
import shutil
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

TRAIN = ("train", "--gin_file", "world.gin")
SHORT = (*TRAIN, "--gin.Tuning.steps=8", "--gin.Jsonl.validation=None")
LONG = (*TRAIN, "--gin.Tuning.steps=100", "--gin.Tuning.save_every=10", "--gin.Tuning.eval_every=0")
EVAL = ("eval", "--gin.eval.batch_size=4")  # the last batch of 7 examples is ragged
STONES = repr(tuple(f"stone {n}" for n in range(7)))
RANK = (*EVAL, "--gin.eval.rank=@Rank()", f"--gin.Rank.labels={STONES}", "--gin.eval.calibrate=True")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


def done(world, size, *words, devices=1):
    """Runs a command that must succeed; returns standard output and standard error of each process."""
    ended = fiat(world, size, *words, devices=devices)
    assert [code for code, *_ in ended] == [0] * size, ended
    return [said for _, *said in ended]


@pytest.fixture(scope="module")
def two(world):
    """What two processes said when they trained and scored."""
    return [done(world, 2, *words, "--run_dir", "two") for words in (SHORT, EVAL)]


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
    first, second = ((world / run / "predictions" / "test.jsonl").read_text() for run in (one, other))
    assert first == second and len({json.loads(line)["id"] for line in first.splitlines()}) == 7
    first, second = (
        json.loads((world / run / "metrics.jsonl").read_text().splitlines()[-1]) for run in (one, other)
    )
    assert first.pop("split") == second.pop("split") == "test"
    assert first == pytest.approx(second, rel=1e-5)


@pytest.mark.slow
def test_two_processes_do_what_one_with_two_devices_does(world, two):
    for words in (SHORT, EVAL):
        done(world, 1, *words, "--run_dir", "one", devices=2)
    assert_same_results(world, "one", "two")


@pytest.mark.slow
def test_two_processes_rank_labels_as_one_does(world, two):
    found = []
    for size in (1, 2):
        run = f"ranked_{size}"
        shutil.copytree(world / "two", world / run)
        done(world, size, *RANK, "--run_dir", run, devices=2 // size)
        rows = map(json.loads, (world / run / "predictions" / "test.jsonl").read_text().splitlines())
        found.append({row["id"]: row["scores"] for row in rows})
        found.append(json.loads((world / run / "calibration.json").read_text())["temperature"])
    one, temperature, other, same_temperature = found
    assert len(one) == 7 and one.keys() == other.keys()
    assert temperature == pytest.approx(same_temperature, rel=1e-2)
    for id in one:
        assert one[id] == pytest.approx(other[id], rel=1e-2), id


def test_only_the_first_process_writes_and_prints(world, two):
    for (shown, said), (hidden, quiet) in two:
        assert len(shown.splitlines()) > 1 and len(said.splitlines()) > 1
        left = [line for line in (hidden + quiet).splitlines() if "[Gloo]" not in line]
        assert len(left) == 1 and re.fullmatch(
            r"process 1 of 2, 1 devices here, 2 in all, coordinator 127.0.0.1:\d+", left[0]
        )
    environment = json.loads((world / "two" / "environment.json").read_text())
    assert [one["processes"] for one in environment] == [2]
    assert {path.name for path in (world / "two" / "checkpoints" / "8" / "learned").glob("ocdbt*")} == {
        "ocdbt.process_0",
        "ocdbt.process_1",
    }


@pytest.mark.slow
def test_stopped_or_killed_and_started_again_they_end_with_the_same_weights(world):
    done(world, 2, *LONG, "--run_dir", "whole")
    words = (*FIAT, *LONG, *QUICK, "--run_dir", "again")
    processes = start(world, 2, *words)
    wait_for_step(world / "again", 10, processes)
    processes[1].send_signal(signal.SIGTERM)
    stopped = ends(processes)
    assert [code for code, *_ in stopped] == [75, 75], stopped
    (step,) = {int(re.search(r"asked to stop at step (\d+); saved", said)[1]) for _, _, said in stopped}
    assert (world / "again" / "checkpoints" / str(step)).is_dir()

    processes = start(world, 2, *words)
    wait_for_step(world / "again", step + 15, processes)
    processes[1].kill()
    killed = time.monotonic()
    (code, _, said), _ = ends(processes)
    assert code == 75 and time.monotonic() - killed < 60
    assert "process 0 of 2: stopped, as another process of the job has died" in said

    done(world, 2, *LONG, "--run_dir", "again")
    assert_same_weights(world, "again", "whole")
    assert losses(world, "again") == losses(world, "whole")


def small_job(folder, what):
    return ends(start(folder, 2, str(Path(__file__).with_name("small_job.py")), what, devices=2))


def test_rows_go_where_the_mesh_says_and_come_back(tmp_path):
    first, second = small_job(tmp_path, "place")
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert first[1].splitlines()[-1] == "placed" and "never" not in second[1]


def test_what_differs_between_hosts_is_named_by_all(tmp_path):
    for code, _, said in small_job(tmp_path, "differ"):
        assert code == 3
        assert "the same words, but what process 1 found is not what process 0 found" in said


@pytest.mark.parametrize(
    ("what", "gone", "code"), [("fail", 1, 3), ("die", 1, -signal.SIGKILL), ("die first", 0, -signal.SIGKILL)]
)
def test_where_one_fails_or_dies_the_other_stops_and_says_so(tmp_path, what, gone, code):
    ended = small_job(tmp_path, what)
    assert ended[gone][0] == code
    assert code < 0 or "row 7 of process 1 is wrong" in ended[gone][2]
    left, _, said = ended[1 - gone]
    assert left == 75
    # Among the last lines: a thread of JAX may still say something of its own.
    assert f"process {1 - gone} of 2: stopped, as another process of the job has died" in said


def test_one_that_waits_in_vain_says_what_to_do(world):
    words = (*FIAT, *SHORT, "--distributed", "--join_timeout=2", "--run_dir", "alone")
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
        [sys.executable, *FIAT, *SHORT, "--distributed", "--run_dir", "alone"],
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
    mesh = ("--gin.Mesh.data=2", "--gin.Mesh.tensor=2", "--gin.Jsonl.validation=None")
    for words in ((*LONG, *mesh), EVAL):
        done(world, 1, *words, "--run_dir", "devices", devices=4)
        done(world, 4, *words, "--run_dir", "four")
    assert_same_results(world, "devices", "four")

    processes = start(world, 4, *FIAT, *LONG, *mesh, *QUICK, "--run_dir", "killed")
    wait_for_step(world / "killed", 15, processes)
    processes[0].kill()
    _, *others = ends(processes)
    for at, (code, _, said) in enumerate(others, start=1):
        assert code == 75 and f"process {at} of 4: stopped, as another process" in said, said
    done(world, 4, *LONG, *mesh, "--run_dir", "killed")
    assert_same_weights(world, "killed", "four")


@pytest.mark.slow
def test_new_rows_are_answered_once_by_two_processes_and_the_first_asks_the_reasoner(world, two):
    rows = [
        {"id": f"new-{n}", "question": f"what lies at {n}?", "context": f"at {n} lies it."} for n in range(5)
    ]
    write_jsonl(world / "new.jsonl", rows)
    write_jsonl(world / "replay.jsonl", [{"id": row["id"], "rationale": "it is there"} for row in rows])
    words = ("predict", "--run_dir", "two", "--gin.predict.input=new.jsonl", "--gin.predict.batch_size=4")
    words += ("--gin.predict.client=@Replay()", "--gin.Replay.path=replay.jsonl")
    words += ("--gin.predict.prompt=@Prompt()", "--gin.Prompt.input='{question}'")
    for size in (1, 2):
        names = (f"--gin.predict.output={size}.jsonl", f"--gin.predict.rationales={size}.sqlite")
        said = done(world, size, *words, *names, devices=3 - size)
        assert f"{size}.jsonl: 5 predictions" in said[0][0]
    assert (world / "1.jsonl").read_text() == (world / "2.jsonl").read_text()
    answered = [json.loads(line) for line in (world / "2.jsonl").read_text().splitlines()]
    assert [row["id"] for row in answered] == [row["id"] for row in rows]
