"""What a run is scored by: metrics, means and intervals as its task says, in every place they are shown."""

import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import pytest

from fiat_jax.checkpoints import CheckpointStore
from fiat_jax.cli import main
from fiat_jax.study.evaluation import best_step
from fiat_jax.study.score_tables import aligned, label_tables, score_table
from fiat_jax.study.tuning import HEADLINE


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """The working directory: a copy of what was trained."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_run_is_scored_by_the_metrics_groups_and_means_that_gin_names(run, capsys):
    words = {
        "name": "'scored'",  # seqio knows a task by its name, once in a process
        "metrics": "('answerability', 'mlqa')",
        "mean_of": "('aa',)",
        "groups": "{'Both': ('aa', 'bb')}",
    }
    settings = [f"--gin.Task.{name}={value}" for name, value in words.items()]
    assert main(["eval", "--run_dir", "run", *settings]) == 0
    row, predicted = lines("run/metrics.jsonl")[-1], lines("run/predictions/test.jsonl")
    assert (row["aa/n"], row["bb/n"], row["Both/n"], row["n"]) == (4, 3, 7, 4)
    said = {language: [one for one in predicted if one["language"] == language] for language in ("aa", "bb")}
    share = {
        language: 100 * sum(one["prediction"].strip(" .?!") != "" for one in rows) / len(rows)
        for language, rows in said.items()
    }
    assert row["aa/answerability"] == row["answerability"] == pytest.approx(share["aa"])
    assert row["bb/answerability"] == pytest.approx(share["bb"])
    assert row["Both/answerability"] == pytest.approx((share["aa"] + share["bb"]) / 2)
    assert row["answerability_low"] <= row["answerability"] <= row["Both/answerability_high"]
    assert "mlqa_f1_low" not in row and {"loss", "token_accuracy", "Both/mlqa_em"} <= set(row)
    shown = capsys.readouterr().out.splitlines()
    assert " ".join(shown[1].split()) == "answerable 95 % no-answer F1 MLQA F1 MLQA EM n cut"
    assert [line.split()[0] for line in shown[2:]] == ["aa", "bb", "Both", "mean"]
    page = Path("run/report.html").read_text()
    assert '<th class="n">answerable</th><th class="n">95 %</th>' in page and "<td>Both</td>" in page


@pytest.mark.parametrize(("headline", "best"), [("f1", 2), ("accuracy", 1)])
def test_the_best_checkpoint_is_that_of_the_headline_it_was_trained_by(tmp_path, headline, best):
    store = CheckpointStore(tmp_path / "checkpoints", best=headline)
    for step, metrics in {1: {"f1": 1.0, "accuracy": 9.0}, 2: {"f1": 9.0, "accuracy": 1.0}}.items():
        store.save(step, {"learned": {"x": jnp.zeros(1)}}, metrics, {HEADLINE: headline})
    store.close()
    assert best_step(tmp_path) == best


def test_tables_have_the_interval_of_the_headline_where_there_is_one():
    row = {"loss": 1.0, "f1": 50.0, "em": 40.0, "n": 2, "aa/f1": 50.0, "aa/em": 40.0, "aa/n": 2}
    assert score_table(row) == [
        ["", "F1", "EM", "n"],
        ["aa", "50.0", "40.0", "2"],
        ["mean", "50.0", "40.0", "2"],
    ]
    sure = row | {"f1_low": 40.0, "f1_high": 60.0, "aa/f1_low": 30.0, "aa/f1_high": 70.0}
    assert score_table(sure)[1] == ["aa", "50.0", "30.0 to 70.0", "40.0", "2"]
    assert score_table({"accuracy": 50.0, "n": 2})[1] == ["all", "50.0", "2"]
    assert label_tables(row) == []
    assert aligned([["", "F1"], ["aa", "50.0"]]) == ["             F1", "aa         50.0"]
