"""A run from the token ids alone, as on a pod: no TensorFlow, no rows, no rationales."""

import os
import subprocess
import sys

from study.conftest import SHORT

from fiat_jax.cli import main

WITHOUT = """
import sys
for name in ("tensorflow", "seqio", "tensorflow_datasets"):
    sys.modules[name] = None  # importing it raises
from fiat_jax.cli import main
for words in {commands!r}:
    code = main(words)
    assert code == 0, (words[0], code)
assert sys.modules["tensorflow"] is None
"""
CACHED = ("--gin_file", "world.gin", "--gin.Task.cache=token_ids")
PREDICT = ("--gin.predict.input=new.jsonl", "--gin.predict.output=answers.jsonl")


def test_train_eval_and_predict_need_neither_tensorflow_nor_seqio_nor_the_rows(world, capsys):
    rows, why = (world / "test.jsonl").read_text(), (world / "rationales.jsonl").read_text()
    assert main(["cache", *CACHED]) == 0
    out = capsys.readouterr().out
    assert "world.fiat train: 18 examples, 0 cut, " in out and "world.distillation test: 7 examples" in out
    for name in ("train", "validation", "test", "rationales"):
        (world / f"{name}.jsonl").unlink()
    (world / "new.jsonl").write_text(rows)
    (world / "whys.jsonl").write_text(why)
    commands = [
        ["train", *CACHED, *SHORT, "--run_dir", "run"],
        ["eval", "--run_dir", "run"],
        ["predict", "--run_dir", "run", *PREDICT, "--gin.predict.rationales=whys.jsonl"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(commands=commands)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert "no files of its rows and rationales here to compare" in done.stderr
    assert "mean" in done.stdout
    assert len((world / "answers.jsonl").read_text().splitlines()) == 7
