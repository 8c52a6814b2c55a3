"""From a table of 120 rows to predictions by the commands of the README, on a T5 with random weights."""

import json
import re
import shlex
import time
from pathlib import Path

import pytest
from fake_openai import FakeOpenAI, completion
from rows import as_csv, as_jsonl, sale

from fiat_jax.cli import main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
WALK = README[README.index("## On your own data") : README.index("## Settings")]
STEPS = ("init", "tasks", "annotate", "train", "eval", "predict")
SETTINGS = {
    "init": ["--model=model"],
    "annotate": ["--gin.OpenAI.model=reasoner"],
    "train": ["--gin.Tuning.steps=6", "--gin.Base.dtype=float32"],
    "predict": ["--gin.OpenAI.model=reasoner"],
}
"""What the README leaves open, and fewer steps."""


class Reasoner(FakeOpenAI):
    """Answers each prompt with the first words of its passage."""

    def answer_to(self, path, text):
        return completion(f"It says so. The answer is: {' '.join(text.split()[1:5])}")


def commands():
    """The first command of each step, as the README has it."""
    lines = [line.strip() for line in re.findall(r"^    (fiat .*)", WALK, re.MULTILINE)]
    lines.append("fiat tasks --gin_file mine.gin")
    return [next(line for line in lines if line.split()[1] == step) for step in STEPS]


@pytest.mark.slow
def test_a_table_of_120_rows_leads_to_predictions_by_the_readme(tmp_path, monkeypatch, capsys):
    from fiat_jax.miniature.model import make_model, write_vocabulary

    monkeypatch.chdir(tmp_path)
    rows = [sale(n) for n in range(124)]
    words = "question context Answer with a short span of the reasoning It says so The answer is : . step by"
    texts = [words, "Explain step by step how to find the answer.", *(" ".join(row.values()) for row in rows)]
    make_model(Path("model"), "tuned", write_vocabulary(Path("model"), texts))
    Path("rows.csv").write_text(as_csv(rows[:120]), encoding="utf-8")
    seconds = {}
    with Reasoner() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        for step, command in zip(STEPS, commands(), strict=True):
            if step == "predict":
                new = [{name: row[name] for name in ("question", "context")} for row in rows[120:]]
                Path("new.jsonl").write_text(as_jsonl(new), encoding="utf-8")
            start = time.monotonic()
            code = main([*shlex.split(command)[1:], *SETTINGS.get(step, [])])
            seconds[step] = round(time.monotonic() - start, 1)
            assert code == 0, capsys.readouterr().err
            if step == "init":
                monkeypatch.chdir("mine")
    print("seconds", seconds)
    answers = [json.loads(line) for line in Path("answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["question"] for row in answers] == [row["question"] for row in rows[120:]]
    assert all(isinstance(row["prediction"], str) and "The answer is" in row["rationale"] for row in answers)
    assert Path("runs/mine/adapter/adapter_model.safetensors").exists()
    assert len(Path("runs/mine/predictions/test.jsonl").read_text(encoding="utf-8").splitlines()) == 24
