"""Searches of a reasoning prompt: they find what is better, admit what is not, see no example that they are
scored on, and cost what they may."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fake_reasoner import GOOD, FakeReasoner, indifferent
from rows import example, write_jsonl

from fiat_jax.config import parse
from fiat_jax.data import Jsonl, Task, Template
from fiat_jax.errors import BudgetReached, ConfigError, DataError
from fiat_jax.reasoning import CallError, Prompt
from fiat_jax.reasoning.search import APE, OPRO, Bootstrap
from fiat_jax.records import fill, read_jsonl
from fiat_jax.study.engineering.prompts import search_prompt
from fiat_jax.study.engineering.running import Engineering
from fiat_jax.study.engineering.slices import Slices, slice_train

START = Prompt(input="Passage: {context}\nQuestion: {question}", instruction='Say "The answer is: ..."')
SLICES = Slices(propose=20, score=40, confirm=60, minibatch=15)
ALL = (APE(candidates=4, paraphrases=1), OPRO(steps=4, per_step=2), Bootstrap(asked=15, trials=6))


@pytest.fixture
def task(tmp_path):
    """140 training examples, and some that no search may see."""
    splits = {"train": 140, "validation": 5, "test": 5}
    files = {
        split: write_jsonl(
            tmp_path / f"{split}.jsonl",
            [example(f"{split}-{n}", answer=f"author {split} {n}") for n in range(size)],
        )
        for split, size in splits.items()
    }
    return Task(name="books", source=Jsonl(**files), template=Template(), vocabulary="byte")


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def reasoner(task, **settings):
    rows = [row for split in ("train", "validation", "test") for row in task.rows(split)]
    return FakeReasoner({fill(START.input, row): row["answer"] for row in rows}, **settings)


def how(*methods, **settings):
    return Engineering(methods, **({"slices": SLICES, "concurrency": 4} | settings))


def history(run):
    """What was scored, without what a clock or a kill can change."""
    rows = list(read_jsonl(run / "history.jsonl"))
    return [{name: value for name, value in row.items() if name not in ("time", "calls")} for row in rows]


def ids_in(text):
    return set(re.findall(r"who wrote ([\w-]+)\?", text))


@pytest.mark.parametrize("method", ALL, ids=lambda one: type(one).__name__)
def test_each_method_finds_a_better_prompt_and_says_how_sure_that_is(task, run, method):
    outcome = search_prompt(run, task, START, reasoner(task), how(method))
    assert outcome.verdict == "better"
    assert outcome.chosen is outcome.winner and outcome.winner.name.startswith(
        type(method).__name__.lower()[:3]
    )
    for compared in (outcome.scored, outcome.confirmed):
        assert compared.start < compared.best and 0 < compared.low < compared.mean < compared.high
    assert (outcome.scored.n, outcome.confirmed.n) == (40, 60)
    assert "better than the start" in str(outcome)


def test_ape_says_the_best_in_other_words_too(task, run):
    client = reasoner(task)
    search_prompt(run, task, START, client, how(APE(candidates=3, paraphrases=2)))
    tried = {row["name"]: row for row in history(run)}
    means = {name: row["score"] for name, row in tried.items() if name.startswith("ape")}
    assert tried["paraphrase-1"]["parent"] == tried["paraphrase-2"]["parent"] in {*means, "start"}
    assert len({text for text in client.proposals if "in other words" in text}) == 2


def test_opro_shows_what_was_tried_in_ascending_order_and_climbs(task, run):
    client = reasoner(task)
    outcome = search_prompt(run, task, START, client, how(OPRO(steps=4, per_step=1, history=3)))
    shown = [
        [float(score) for score in re.findall(r"^Score: (.*)$", text, re.M)] for text in client.proposals
    ]
    assert [len(scores) for scores in shown] == [1, 2, 3, 3]
    assert all(scores == sorted(scores) for scores in shown)
    assert all(word in outcome.chosen.instruction for word in GOOD)


def test_exemplars_are_right_answers_of_the_large_model_itself(task, run):
    client = reasoner(task)
    outcome = search_prompt(run, task, START, client, how(Bootstrap(asked=20, shots=2, trials=5)))
    kept = list(read_jsonl(run / "exemplars.jsonl"))
    assert [row["id"] for row in kept] == outcome.chosen.ids and len(kept) == 2
    assert all(row["rationale"] == f"I think about it. The answer is: {row['answer']}." for row in kept)


def test_without_a_right_answer_there_are_no_exemplars_and_the_start_stays(task, run):
    outcome = search_prompt(
        run, task, START, reasoner(task, skill=lambda instruction, shots: 0.0), how(Bootstrap())
    )
    assert (outcome.verdict, outcome.chosen.name) == ("start", "start")
    (_, refused) = history(run)
    assert refused["refused"] == "no exemplars: none of 20 answers of start is right"


def test_a_search_in_which_nothing_helps_says_so_and_keeps_the_start(task, run):
    outcome = search_prompt(run, task, START, reasoner(task, skill=indifferent), how(*ALL))
    assert (outcome.verdict, outcome.chosen.name) == ("start", "start")
    assert str(outcome) == "nothing that was tried is better than the start, which stays."
    assert json.loads((run / "result.json").read_text())["verdict"] == "start"
    assert "nothing that was tried is better" in (run / "report.html").read_text()


@pytest.mark.parametrize("seed", (0, 1, 3))
def test_a_winner_by_luck_is_not_called_better(task, run, seed):
    client = reasoner(task, skill=indifferent, noisy=True)
    methods = (APE(candidates=4), OPRO(steps=4))
    outcome = search_prompt(run, task, START, client, how(*methods, seed=seed))
    assert outcome.winner.name != "start" and outcome.scored.mean > 0
    assert outcome.confirmed.mean < outcome.scored.mean
    assert outcome.verdict in ("unsure", "start")
    assert ("may be chance" if outcome.verdict == "unsure" else "the start, which stays") in str(outcome)


def test_proposals_and_exemplars_see_no_example_that_is_scored_and_no_other_split_is_read(task, run):
    client = reasoner(task)
    search_prompt(run, task, START, client, how(*ALL))
    slices = {name: set(ids) for name, ids in json.loads((run / "result.json").read_text())["slices"].items()}
    assert [len(ids) for ids in slices.values()] == [20, 40, 60]
    assert not slices["propose"] & slices["score"] | slices["score"] & slices["confirm"]
    assert not slices["propose"] & slices["confirm"]
    assert set().union(*map(ids_in, client.proposals)) <= slices["propose"]
    for request in client.requests:
        *before, last = (message["content"] for message in request.messages)
        assert set().union(*map(ids_in, before)) <= slices["propose"]
        if "<instruction>" not in last:
            assert len(ids_in(last)) == 1 and ids_in(last) <= set().union(*slices.values())
    assert all(row["exemplars"] is None or set(row["exemplars"]) <= slices["propose"] for row in history(run))
    chosen = [row for row in history(run) if row["part"] == "confirm"]
    assert len(chosen) == 2 and history(run)[-2:] == chosen


def test_exemplars_of_the_start_are_in_no_slice(task, run):
    rows = [row | {"rationale": "so it is"} for row in list(task.rows("train"))[:3]]
    del rows[2]["id"]  # known by its text alone
    start = replace(START, exemplars=tuple(rows))
    client = reasoner(task)
    search_prompt(run, task, start, client, how(APE(candidates=1)))
    slices = json.loads((run / "result.json").read_text())["slices"].values()
    assert not {"train-0", "train-1", "train-2"} & {id for ids in slices for id in ids}


def test_a_scored_example_among_the_exemplars_is_a_leak(task, run):
    from fiat_jax.reasoning.search import Candidate
    from fiat_jax.study.engineering.answers import AnswerScorer

    rows = list(task.rows("train"))[:4]
    scorer = AnswerScorer(task, START, None, None)
    leaking = Candidate("bad", "", (rows[2] | {"rationale": "so it is"},))
    with pytest.raises(DataError, match=r"expected exemplars that nothing is scored on, found \['train-2'\]"):
        scorer.scores(leaking, rows)


def test_rows_of_one_passage_stay_in_one_slice(tmp_path):
    rows = [example(f"r-{n}", context=f"passage {n % 10}") for n in range(60)]
    task = Task(
        name="shared",
        source=Jsonl(train=write_jsonl(tmp_path / "train.jsonl", rows)),
        template=Template(),
        vocabulary="byte",
    )
    slices = Slices(propose=8, score=14, confirm=14, minibatch=1, apart="context")
    sliced = slice_train(task, slices, lambda row: row["question"])
    passages = [{row["context"] for row in part} for part in sliced]
    assert [len(part) for part in sliced] == [8, 14, 14]
    assert sum(map(len, passages)) == len(set().union(*passages))
    again = slice_train(task, slices, lambda row: row["question"])
    assert again == sliced != slice_train(task, replace(slices, seed=1), lambda row: row["question"])


def test_of_examples_with_the_same_input_one_is_used(tmp_path):
    rows = [example(f"r-{n}", question=f"who wrote {n % 5}?", context="x") for n in range(20)]
    source = Jsonl(train=write_jsonl(tmp_path / "train.jsonl", rows))
    task = Task(name="same", source=source, template=Template(), vocabulary="byte")
    slices = Slices(propose=1, score=2, confirm=2, minibatch=1)
    assert {row["id"] for part in slice_train(task, slices, lambda row: row["question"]) for row in part} == {
        f"r-{n}" for n in range(5)
    }
    with pytest.raises(DataError, match=r"expected 1 \+ 3 \+ 2 training examples.* found 5 "):
        slice_train(task, replace(slices, score=3), lambda row: row["question"])


@pytest.mark.parametrize("concurrency", [1, 8])
def test_the_budget_holds_to_the_call_and_the_same_search_goes_on_to_the_same_end(
    task, run, tmp_path, concurrency
):
    whole = reasoner(task)
    (tmp_path / "whole").mkdir()
    expected = search_prompt(tmp_path / "whole", task, START, whole, how(*ALL))
    client, total = reasoner(task), len(whole.requests)
    for budget in (30, 75, 150):
        with pytest.raises(BudgetReached, match=f"all of the {budget} calls") as error:
            search_prompt(run, task, START, client, how(*ALL, concurrency=concurrency, max_calls=budget))
        assert error.value.exit_code == 5
        assert len(client.requests) == budget
        assert budget == 30 or "not at its end yet" in (run / "report.html").read_text()
        assert not (run / "prompt.gin").exists()
    settings = how(*ALL, concurrency=concurrency, max_calls=total)
    assert search_prompt(run, task, START, client, settings) == expected
    assert len(client.requests) == total == len(set(client.keys))
    assert history(run) == history(tmp_path / "whole")
    assert total <= settings.most_calls(by_answers=True)


def test_a_search_that_has_ended_makes_no_call_again(task, run):
    first = search_prompt(run, task, START, reasoner(task), how(*ALL))
    before = (run / "history.jsonl").read_bytes()
    client = reasoner(task)
    assert search_prompt(run, task, START, client, how(*ALL)) == first
    assert client.requests == [] and (run / "history.jsonl").read_bytes() == before


def test_a_call_that_fails_stops_the_search_and_costs_nothing(task, run, tmp_path):
    (tmp_path / "whole").mkdir()
    search_prompt(tmp_path / "whole", task, START, reasoner(task), how(APE()))
    client = reasoner(task)
    client.broken = "propose/ape-3"
    with pytest.raises(CallError, match="'propose/ape-3' has no answer: out of order"):
        search_prompt(run, task, START, client, how(APE()))
    client.broken = None
    search_prompt(run, task, START, client, how(APE()))
    assert history(run) == history(tmp_path / "whole")
    failed = [request.id for request in client.requests].count("propose/ape-3")
    assert failed == 2 and len(client.keys) == len(set(client.keys)) + 1


def test_a_killed_search_comes_to_the_same_end_and_pays_no_call_twice(task, run, tmp_path):
    script = Path(__file__).with_name("run_prompt_search.py")
    (tmp_path / "whole").mkdir()
    whole = reasoner(task)
    search_prompt(tmp_path / "whole", task, START, whole, how(*ALL, concurrency=1))

    def start(calls):
        command = [sys.executable, str(script), str(tmp_path), str(run), str(calls)]
        paths = os.pathsep.join(str(Path(__file__).parents[up]) for up in (2, 1, 0))
        reasoning = str(Path(__file__).parents[1] / "reasoning")
        env = os.environ | {"PYTHONPATH": os.pathsep.join([paths, reasoning])}
        return subprocess.run(command, env=env, capture_output=True, text=True)

    for calls in (25, 60):
        assert start(calls).returncode == -signal.SIGKILL
    with (run / "history.jsonl").open("a") as file:
        file.write('{"name": "ape-')  # a line that a kill has cut
    ended = start(10_000)
    assert ended.returncode == 0, ended.stderr
    asked = (run / "asked.txt").read_text().split()
    assert len(asked) == len(set(asked)) and asked == whole.keys
    assert history(run) == history(tmp_path / "whole")
    assert (run / "history.svg").read_bytes() == (tmp_path / "whole" / "history.svg").read_bytes()


def test_another_history_is_refused(task, run):
    search_prompt(run, task, START, reasoner(task), how(APE(candidates=2)))
    with pytest.raises(DataError, match=r"history.jsonl:1: expected instruction 'Else.'"):
        search_prompt(run, task, replace(START, instruction="Else."), reasoner(task), how(APE()))


def test_the_result_is_a_prompt_that_gin_reads(task, run):
    outcome = search_prompt(run, task, START, reasoner(task), how(*ALL))
    prompt = parse("Prompt", [str(run / "prompt.gin")]).run()
    assert (prompt.input, prompt.instruction) == (START.input, outcome.chosen.instruction)
    assert [each.id for each in prompt.worked(("answer",))] == outcome.chosen.ids
    best = json.loads((run / "result.json").read_text())["confirmed"]["best"]
    assert best == outcome.confirmed.best


def test_a_prompt_of_a_file_is_the_same_after_a_search_that_finds_nothing(task, run):
    start = Prompt(file="extractive_qa", reason_in="input", exemplars_in="mixed")
    client = FakeReasoner({fill(start.input, row): "nothing" for row in task.rows("train")})
    outcome = search_prompt(run, task, start, client, how(APE(candidates=1)))
    prompt = parse("Prompt", [str(run / "prompt.gin")]).run()
    assert outcome.verdict == "start"
    assert prompt.template(prompt.worked()) == start.template(start.worked())


def test_the_picture_has_a_dot_for_each_candidate_and_a_ring_for_each_finalist(task, run):
    search_prompt(run, task, START, reasoner(task), how(*ALL, finalists=2))
    picture, rows = (run / "history.svg").read_text(), history(run)
    tried = {row["name"] for row in rows if "refused" not in row}
    assert picture.count('r="4"') - 4 == len(tried)  # in the legend: start, ape, opro, bootstrap
    assert picture.count('r="7"') == 2
    page = (run / "report.html").read_text()
    assert picture.strip() in page and all(f"<td>{name}</td>" in page for name in tried)


def test_twins_and_endless_or_cut_instructions_are_not_tried_but_said(task, run):
    class Chatty(FakeReasoner):
        def _proposal(self, text):
            return self.said.pop()

    client = Chatty({fill(START.input, row): row["answer"] for row in task.rows("train")})
    client.said = ["Think of...", "x " * 2000, "Think.", "Think.", ""]
    outcome = search_prompt(run, task, START, client, how(APE(candidates=5), concurrency=1))
    assert search_prompt(run, task, START, Chatty({}), how(APE(candidates=5))) == outcome
    why = {row["name"]: row["refused"] for row in history(run) if "refused" in row}
    assert why == {
        "ape-1": "the reply holds no instruction",
        "ape-3": "the same as ape-2",
        "ape-4": "4041 characters, more than 1500",
        "ape-5": "the reply ends at the token limit of who proposes",
    }


def test_wrong_settings_are_named(task, run):
    with pytest.raises(ConfigError, match=r"engineer\.score: expected one of f1, em, found 'bleu'"):
        search_prompt(run, task, START, reasoner(task), how(APE()), score="bleu")
    with pytest.raises(ConfigError, match="expected one or more methods"):
        how()
    with pytest.raises(DataError, match="gives the answer away, found 'answer'"):
        search_prompt(run, task, Prompt(input="{question} {answer}"), reasoner(task), how(APE()))
