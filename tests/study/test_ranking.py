"""Runs whose answers are labels: ranked, scored and calibrated, from command to folder."""

import json
import math
import re
import shlex
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from study.conftest import write_jsonl, write_world

from fiat_jax.cli import main
from fiat_jax.config import parse
from fiat_jax.data.labels import right_labels
from fiat_jax.data.pipeline import load_examples
from fiat_jax.decoding import Rank
from fiat_jax.models.likelihood import shift_right
from fiat_jax.study.evaluation import best_weights
from fiat_jax.study.experiment import assemble
from fiat_jax.study.ranking import rank_examples
from fiat_jax.training import cross_entropy

GIN = """
eval.rank = @Rank()
Rank.labels = ('yes', 'no')
eval.batch_size = 4
Tuning.eval_every = 0
Experiment.variant = 'plain'
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A world with yes or no for its answers, mine.gin, and a run."""
    folder = tmp_path_factory.mktemp("questions")
    write_world(folder)
    for split in ("train", "validation", "test"):
        rows = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        write_jsonl(
            folder / f"{split}.jsonl",
            [row | {"answer": "yes" if n % 3 else "no"} for n, row in enumerate(rows)],
        )
    (folder / "mine.gin").write_text("include 'world.gin'\n" + GIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "--gin_file", "mine.gin", "--run_dir", "run"]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """The working directory: a copy of what was trained."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def fiat_eval(*words):
    return main(["eval", "--run_dir", "run", *words])


def predictions(split):
    return [json.loads(line) for line in Path(f"run/predictions/{split}.jsonl").read_text().splitlines()]


def last_metrics():
    return json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-1])


def test_a_split_is_answered_with_labels_calibrated_and_answered_with_that_temperature(run, capsys):
    assert fiat_eval() == 0
    rows, found = predictions("test"), last_metrics()
    assert len({row["id"] for row in rows}) == 7
    for row in rows:
        assert list(row["scores"]) == ["yes", "no"]
        assert row["scores"][row["prediction"]] == row["score"] == max(row["scores"].values())
        assert sum(row["scores"].values()) == pytest.approx(1)
    right = [row["prediction"] == row["answers"][0] for row in rows]
    assert found["label_accuracy"] == pytest.approx(np.mean(right))
    assert found["em"] == pytest.approx(50 * (np.mean(right[:4]) + np.mean(right[4:])))
    nll = -np.mean([math.log(row["scores"][row["answers"][0]]) for row in rows])
    assert found["nll"] == pytest.approx(nll)
    for place in ("aa", "bb"):
        own = [row for row in rows if row["language"] == place]
        is_yes = [row["answers"] == ["yes"] for row in own]
        logits = [math.log(row["scores"]["yes"]) - math.log(row["scores"]["no"]) for row in own]
        assert found[f"{place}/auc_pr_yes"] == pytest.approx(average_precision_score(is_yes, logits))
        assert found[f"{place}/auc_pr_no"] == pytest.approx(
            average_precision_score(np.logical_not(is_yes), np.negative(logits))
        )
        assert found[f"{place}/roc_auc"] == pytest.approx(roc_auc_score(is_yes, logits))
        assert found[f"{place}/prevalence_yes"] == pytest.approx(np.mean(is_yes))
    for name in ("auc_pr_yes", "auc_pr_no", "roc_auc", "prevalence_yes", "prevalence_no"):
        assert found[name] == pytest.approx((found[f"aa/{name}"] + found[f"bb/{name}"]) / 2)
    assert 0 <= found["roc_auc_low"] <= found["roc_auc"] <= found["roc_auc_high"] <= 1
    shown, page = capsys.readouterr().out, Path("run/report.html").read_text()
    for name in ("nll", "ece", "auc_pr_yes", "aa/auc_pr_no", "prevalence_yes", "roc_auc"):
        assert f'<td class="n">{found[name]:.3f}</td>' in page
        assert f"  {found[name]:.3f}" in shown

    assert fiat_eval("--gin.eval.split=validation", "--gin.eval.calibrate=True") == 0
    kept = json.loads(Path("run/calibration.json").read_text())
    assert (kept["split"], kept["n"], kept["labels"]) == ("validation", 6, ["yes", "no"])
    assert kept["nll_after"] < kept["nll_before"]
    assert last_metrics()["nll"] == pytest.approx(kept["nll_after"])
    assert last_metrics()["ece"] == pytest.approx(kept["ece_after"])

    assert fiat_eval() == 0
    after = predictions("test")
    assert last_metrics()["temperature"] == kept["temperature"] != 1
    assert [row["prediction"] for row in after] == [row["prediction"] for row in rows]
    logits = [[math.log(row["scores"]["yes"] / row["scores"]["no"]) for row in one] for one in (rows, after)]
    np.testing.assert_allclose(logits[0], np.array(logits[1]) * kept["temperature"], rtol=1e-4)

    assert fiat_eval("--gin.Rank.temperature=1.0") == 0
    assert last_metrics()["nll"] == pytest.approx(nll)

    capsys.readouterr()
    assert fiat_eval("--gin.Rank.length_normalisation=0.0") == 2
    assert re.search("calibration.json: .*length_normalisation 0.0.*for 1.0", capsys.readouterr().err)


@pytest.mark.parametrize("first_token", [False, True])
def test_a_ranking_is_that_of_one_label_and_example_at_a_time(run, first_token):
    experiment = parse("eval", ["run/config.gin"], ["eval.run_dir='run'"]).arguments["experiment"]
    task, rank = experiment.task, Rank(("yes", "no"), 0.5, first_token, 3.0)
    examples, network = load_examples(task, experiment.variant, "test"), assemble(experiment, seed=0)
    weights, _ = best_weights(Path("run"), network)
    ranking = rank_examples(network, weights, examples, task, 4, rank)
    tokens, model = task.tokens(), network.answering
    apply, expected = jax.jit(model.apply), np.zeros((len(examples), 2))
    for row, inputs in enumerate(examples.inputs):
        padded = np.pad(inputs, (0, task.inputs_length - len(inputs)))[None]
        for at, label in enumerate(rank.labels):
            ids = np.array([[*tokens.encode(label), tokens.eos_id]])[:, : 1 if first_token else None]
            logits = apply(weights, padded, shift_right(ids, model.config.decoder_start_id))
            loss = cross_entropy(logits, ids, np.ones(ids.shape, np.float32)).loss
            expected[row, at] = -float(loss) / ids.shape[1] ** 0.5
    np.testing.assert_allclose(ranking.scores, expected, rtol=1e-4)
    powers = np.exp(expected / 3)
    np.testing.assert_allclose(ranking.probabilities, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)
    assert ranking.labels == [rank.labels[at] for at in expected.argmax(axis=1)]
    assert [rank.labels[at] for at in right_labels(examples, task, rank.labels)] == [
        one for (one,) in examples.answers
    ]


def test_three_labels_have_no_precision_and_recall(run):
    assert fiat_eval("--gin.Rank.labels=('yes', 'no', 'not at all')") == 0
    assert {"label_accuracy", "nll", "ece"} <= set(last_metrics())
    assert not [name for name in last_metrics() if re.search("auc|prevalence", name)]
    assert all(len(row["scores"]) == 3 for row in predictions("test"))


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ["--gin.Rank.labels=('yes', 'maybe')"],
            3,
            "task world, example test-0: .*'yes', 'maybe', found 'no'",
        ),
        (["--gin.Rank.labels=('yes', 'no', 'certainly not, sir')"], 3, "Rank.labels: .*at most 16 tokens"),
        (
            ["--gin.Rank.labels=('yes', 'no', 'n')", "--gin.Rank.first_token=True"],
            2,
            "first_token: .*'no' and 'n'",
        ),
        (["--gin.eval.rank=None", "--gin.eval.calibrate=True"], 2, "eval.calibrate: expected labels"),
        (["--gin.Rank.temperature=2.0", "--gin.eval.calibrate=True"], 2, "Rank.temperature: expected None"),
        (["--gin.Rank.labels=('yes',)"], 2, "Rank.labels: expected two texts or more"),
    ],
    ids=[
        "an unlisted target",
        "too long",
        "first tokens alike",
        "no labels",
        "a temperature set",
        "one label",
    ],
)
def test_what_cannot_be_ranked_is_one_sentence(run, capsys, words, code, sentence):
    assert fiat_eval(*words) == code
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("fiat eval: ") and re.search(sentence, said), said


def test_every_command_of_the_documentation_does_what_it_says(run, capsys):
    Path("run").rename(Path("runs").mkdir() or "runs/mine")
    page = Path(__file__).parents[2] / "docs" / "scoring.md"
    commands = re.findall(r"^    (fiat .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 3
    for words in map(shlex.split, commands):
        assert main(words[1:]) == 0, capsys.readouterr().err
    assert Path("runs/mine/calibration.json").exists()
