"""Searches of a tuning instruction: scored by the likelihood of targets, of a base or after a short run."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from fake_reasoner import FakeReasoner

from fiat_jax.config import parse
from fiat_jax.errors import ConfigError
from fiat_jax.models.likelihood import shift_right
from fiat_jax.reasoning.search import APE, Bootstrap, Candidate
from fiat_jax.study.engineering.instructions import search_instruction
from fiat_jax.study.engineering.likelihoods import LikelihoodScorer
from fiat_jax.study.engineering.running import Engineering
from fiat_jax.study.engineering.slices import Slices
from fiat_jax.study.experiment import assemble

SLICES = Slices(propose=5, score=7, confirm=6, minibatch=3)
SAID = ["Find it.", "Read\n the  sand.", "Answer.", "x" * 200]


class Scribe(FakeReasoner):
    """Proposes what is given, one after another."""

    def __init__(self, said):
        super().__init__({})
        self._said = list(reversed(said))

    def _proposal(self, text):
        return self._said.pop()


@pytest.fixture
def experiment(world):
    bindings = ["Experiment.variant='instruction'", "Task.inputs_length=96"]
    return parse("Experiment", ["world.gin"], bindings).run()


@pytest.fixture
def run(world):
    (world / "search").mkdir()
    return world / "search"


def how(*methods):
    return Engineering(methods or (APE(candidates=4, demonstrations=2),), SLICES, concurrency=1)


def reference(experiment, instruction, row):
    """The mean log-probability of a row's target tokens, one row at a time and without padding."""
    network, task = assemble(experiment, 0), experiment.task
    text = f"{instruction} q: {row['question']} c: {row['context']}"
    ids = [np.array([[*task.tokens().encode(one), 1]]) for one in (text, row["answer"])]
    logits = network.model.apply({**network.base, **network.learned}, ids[0], shift_right(ids[1], 0))
    picked = np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), ids[1][..., None], axis=-1)
    return float(picked.mean())


@pytest.mark.slow
def test_a_score_is_the_mean_log_probability_of_the_target_whatever_is_scored_beside_it(experiment):
    rows = list(experiment.task.rows("train"))[:7]
    candidate = Candidate("ape-1", "Find the stone.")
    scores = LikelihoodScorer(experiment, 4, rows).scores(candidate, rows)
    expected = [reference(experiment, candidate.instruction, row) for row in rows]
    np.testing.assert_allclose(scores, expected, rtol=2e-5)
    some = LikelihoodScorer(experiment, 2, rows).scores(candidate, rows[2:5])
    np.testing.assert_allclose(some, scores[2:5], rtol=2e-5)


def test_with_rationales_the_score_is_of_the_whole_input(experiment):
    rows = list(experiment.task.rows("train"))[:3]
    candidate = Candidate("ape-1", "Find the stone.")
    plain = LikelihoodScorer(experiment, 3, rows).scores(candidate, rows)
    fiat = LikelihoodScorer(replace(experiment, variant="fiat"), 3, rows).scores(candidate, rows)
    assert all(abs(one - other) > 1e-4 for one, other in zip(plain, fiat, strict=True))


def test_the_best_instruction_is_kept_and_what_does_not_fit_is_said(experiment, run):
    client = Scribe(SAID)
    outcome = search_instruction(run, experiment, client, how(), batch_size=4)
    rows = {(row["name"], row["part"]): row for row in map(json.loads, (run / "history.jsonl").open())}
    assert rows["ape-2", "minibatch"]["instruction"] == "Read the sand."
    assert rows["ape-3", "minibatch"]["refused"] == "the same as start"
    assert "expected the input without what may be cut" in rows["ape-4", "minibatch"]["refused"]
    full = {name: row["score"] for (name, part), row in rows.items() if part == "score"}
    assert set(full) == {"start", "ape-1", "ape-2"} and full[outcome.winner.name] == max(full.values()) < 0
    chosen = parse("Template", [str(run / "prompt.gin")]).run()
    assert chosen.instruction == outcome.chosen.instruction
    assert len(client.requests) == 4  # scores take no call
    slices = json.loads((run / "result.json").read_text())["slices"]
    questions = {f"what lies at {id.removeprefix('train-')}?" for id in slices["score"] + slices["confirm"]}
    assert not any(question in text for question in questions for text in client.proposals)
    assert (run / "report.html").exists()


def test_a_search_that_goes_on_scores_and_asks_nothing_again(experiment, run, monkeypatch):
    first = search_instruction(run, experiment, Scribe(SAID), how(), batch_size=4)
    monkeypatch.setattr(LikelihoodScorer, "scores", None)
    client = Scribe([])
    assert search_instruction(run, experiment, client, how(), batch_size=4) == first
    assert client.requests == []


def test_a_short_run_under_each_instruction_learns_from_what_proposals_see(experiment, run):
    tuning = parse("Tuning", ["world.gin"], ["Tuning.steps=2", "Tuning.eval_every=0"]).run()
    client = Scribe(SAID[:1])
    search_instruction(run, experiment, client, how(APE(candidates=1)), tuning=tuning, batch_size=4)
    trained = [json.loads(line)["id"] for line in (run / "tuned" / "train.jsonl").open()]
    slices = json.loads((run / "result.json").read_text())["slices"]
    assert trained == slices["propose"]
    assert {path.name for path in (run / "tuned").iterdir()} == {"train.jsonl", "start", "ape-1"}
    steps = [json.loads(line)["step"] for line in (run / "tuned" / "ape-1" / "metrics.jsonl").open()]
    assert steps[-1] == 2
    tuned = json.loads(next((run / "history.jsonl").open()))["scores"]
    rows = {row["id"]: row for row in experiment.task.rows("train")}
    scored = [rows[id] for id in slices["score"]]
    start = Candidate("start", experiment.task.template.instruction)
    base = LikelihoodScorer(experiment, 4, list(rows.values())).scores(start, scored)
    assert all(abs(one - other) > 1e-4 for one, other in zip(tuned, base, strict=True))


def test_what_cannot_be_searched_is_refused_before_a_call(experiment, run):
    client = Scribe(SAID)
    with pytest.raises(ConfigError, match="found Bootstrap, which searches exemplars"):
        search_instruction(run, experiment, client, how(APE(), Bootstrap()))
    with pytest.raises(ConfigError, match=r"expected 'instruction' or 'fiat'.* found 'plain'"):
        search_instruction(run, replace(experiment, variant="plain"), client, how())
    several = replace(experiment.task.template, instructions={"aa": ("Answer.", "Say.")})
    with pytest.raises(ConfigError, match=r"Template.instructions: expected none, since one is searched"):
        task = replace(experiment.task, template=several)
        search_instruction(run, replace(experiment, task=task), client, how())
    assert client.requests == []
