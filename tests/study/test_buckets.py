"""A run with all that it reads and writes in a bucket does what it does with local files."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from fiat_jax.cli import main

CODE = "import sys; from fiat_jax.cli import main; sys.exit(main())"
TIMES = ("seconds", "tokens_per_second")
PLACES = {
    "Task.name": "bucket",  # a process knows each name once
    "Base.path": "gs://bucket/model",
    "Task.rationales": "gs://bucket/rationales.jsonl",
    "Jsonl.train": "gs://bucket/tra*.jsonl",
    "Jsonl.validation": "gs://bucket/validation.jsonl",
    "Jsonl.test": "gs://bucket/test.jsonl",
}
SHORT = ["--gin.Tuning.steps=4", "--gin.Tuning.eval_every=2", "--gin.Tuning.save_every=0"]
IN_BUCKET = [f"--gin.{name}={place}" for name, place in PLACES.items()]


@pytest.fixture
def bucket(gcs, world):
    """A bucket that holds the world."""
    for path in [*world.glob("*.*"), *world.glob("model/*")]:
        gcs.put(f"bucket/{path.relative_to(world)}", path.read_bytes(), None)
    return gcs


def text(gcs, name):
    return gcs.objects[f"bucket/{name}"].data.decode()


def rows(lines):
    values = [json.loads(line) for line in lines.splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in values]


def fiat(command, run_dir, *words):
    assert main([command, "--run_dir", run_dir, *words]) == 0


def same_tensors(gcs, name):
    theirs, ours = load(gcs.objects[f"bucket/{name}"].data), load(Path(name).read_bytes())
    return theirs.keys() == ours.keys() and all(np.array_equal(theirs[key], ours[key]) for key in ours)


@pytest.mark.slow
def test_a_run_in_a_bucket_is_the_run_that_it_is_here(bucket, world):
    new = {"id": "new", "question": "what lies at 3?", "context": "at 3 lies a stone."}
    (world / "new.jsonl").write_text(json.dumps(new))
    (world / "why.jsonl").write_text('{"id": "new", "rationale": "it is there"}\n')
    for name in ("new.jsonl", "why.jsonl"):
        bucket.put(f"bucket/{name}", (world / name).read_bytes(), None)
    files = {"input": "new.jsonl", "rationales": "why.jsonl", "output": "answers/new.jsonl"}
    for place, words in (("", []), ("gs://bucket/", IN_BUCKET)):
        run = f"{place}run"
        fiat("train", run, "--gin_file", "world.gin", *SHORT, *words)
        fiat("eval", run)
        fiat("predict", run, *(f"--gin.predict.{name}={place}{file}" for name, file in files.items()))
    assert rows(text(bucket, "run/metrics.jsonl")) == rows(Path("run/metrics.jsonl").read_text())
    for name in ("run/predictions/test.jsonl", "answers/new.jsonl"):
        assert text(bucket, name) == Path(name).read_text()
    assert same_tensors(bucket, "run/adapter/adapter_model.safetensors")
    left = {name.split("/")[2] for name in bucket.objects if name.startswith("bucket/run/")}
    assert left == {path.name for path in Path("run").iterdir()}
    assert not any(name.endswith(".part") for name in bucket.objects)


@pytest.mark.slow
def test_a_killed_run_in_a_bucket_goes_on_and_ends_as_one_never_killed(bucket, world):
    fiat("train", "run", "--gin_file", "world.gin")
    words = ["train", "--gin_file", "world.gin", "--run_dir", "gs://bucket/run", *IN_BUCKET]
    for step in (3, 9):
        process = subprocess.Popen([sys.executable, "-c", CODE, *words])
        while f"bucket/run/checkpoints/{step}/commit_success.txt" not in bucket.objects:
            assert process.poll() is None, "the run ended by itself"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        logged = rows(text(bucket, "run/metrics.jsonl"))
        assert [row["step"] for row in logged if row["split"] == "train"][:step] == list(range(1, step + 1))
    fiat("train", "gs://bucket/run", "--gin_file", "world.gin", *IN_BUCKET)
    assert rows(text(bucket, "run/metrics.jsonl")) == rows(Path("run/metrics.jsonl").read_text())
    assert same_tensors(bucket, "run/adapter/adapter_model.safetensors")
    kept = {name.split("/")[3] for name in bucket.objects if name.startswith("bucket/run/checkpoints/")}
    assert kept == {path.name for path in Path("run/checkpoints").iterdir()}

    fiat("eval", "gs://bucket/run")
    fiat("eval", "run")
    assert text(bucket, "run/predictions/test.jsonl") == Path("run/predictions/test.jsonl").read_text()
    for place, model in (("", "model"), ("gs://bucket/", "gs://bucket/model")):
        fiat("export", f"{place}run", f"--gin.export.output={place}exported")
        fiat("merge", f"{place}run", f"--gin.Base.path={model}", f"--gin.merge.output={place}merged")
    assert same_tensors(bucket, "exported/adapter_model.safetensors")
    assert same_tensors(bucket, "merged/model.safetensors")


@pytest.mark.slow
def test_a_broken_checkpoint_in_a_bucket_is_named_and_passed_over(bucket, world, caplog):
    words = ["--gin_file", "world.gin", "--gin.Tuning.steps=6", *IN_BUCKET]
    fiat("train", "gs://bucket/run", *words)
    steps = {name.split("/")[3] for name in bucket.objects if name.startswith("bucket/run/checkpoints/")}
    last = max(steps, key=int)
    index = f"bucket/run/checkpoints/{last}/learned/manifest.ocdbt"
    bucket.put(index, bucket.objects[index].data[:-5], None)
    fiat("train", "gs://bucket/run", *words)
    assert f"checkpoints/{last}: passed over, as it is broken" in caplog.text
    assert any(name.startswith(f"bucket/run/checkpoints/broken-{last}/") for name in bucket.objects)
    assert f"bucket/run/checkpoints/{last}/commit_success.txt" in bucket.objects


def test_what_is_not_in_a_bucket_is_named(bucket, capsys):
    for words, said in (
        (["--gin.Jsonl.train=gs://bucket/none.jsonl"], "gs://bucket/none.jsonl: expected a JSON-lines file"),
        (["--gin.Jsonl.train=gs://bucket/none*.jsonl"], "expected files of that pattern, found none"),
        (["--gin.Jsonl.train=s3://bucket/train.jsonl"], "expected a local path or gs://BUCKET/PATH"),
        (["--gin.Base.path=gs://bucket/none"], "gs://bucket/none: expected a folder with config.json"),
    ):
        assert main(["train", "--gin_file", "world.gin", "--run_dir", "lost", *words]) in (2, 3)
        assert said in capsys.readouterr().err
    assert main(["eval", "--run_dir", "gs://bucket/none"]) == 2
    assert "gs://bucket/none/config.gin is not there" in capsys.readouterr().err
