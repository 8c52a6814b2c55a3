"""The launch script: the exact commands it would run, and what it passes over."""

import subprocess
from pathlib import Path

SCRIPT = str(Path(__file__).parents[1] / "launch" / "local.sh")


def launch(*words, **options):
    return subprocess.run(["bash", SCRIPT, *words], capture_output=True, text=True, check=False, **options)


def test_a_dry_run_prints_a_training_and_an_evaluation_for_each_run_and_seed(tmp_path):
    out = launch("--dry_run", "out dir", "fiat finetune", "0 1", "--gin.MODEL=a b", cwd=tmp_path)
    lines = out.stdout.splitlines()
    assert out.returncode == 0 and len(lines) == 8
    first = r"+ fiat train --run_dir out\ dir/fiat-0 --gin_file runs/fiat.gin --gin.MODEL=a\ b"
    assert lines[0] == f"{first} --gin.Tuning.seed=0"
    assert lines[3] == r"+ fiat eval --run_dir out\ dir/finetune-0"
    assert not list(tmp_path.iterdir())


def test_what_is_done_is_passed_over(tmp_path):
    done = tmp_path / "out" / "fiat-0" / "predictions"
    done.mkdir(parents=True)
    (done / "test.jsonl").touch()
    lines = launch("--dry_run", "out", "fiat", "0 1", cwd=tmp_path).stdout.splitlines()
    assert lines[0] == "out/fiat-0: done before" and "fiat-1" in lines[1] and len(lines) == 3


def test_missing_words_show_the_usage_and_exit_with_2():
    out = launch("out")
    assert out.returncode == 2 and "launch/local.sh [--dry_run] OUT_DIR" in out.stderr
