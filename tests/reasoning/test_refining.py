"""Rationales voted for and shortened, through the store."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fake_openai import FakeOpenAI, Reply, completion

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import OpenAI, Prompt, Replay, Store
from fiat_jax.reasoning.shortening import Shorten, shorten
from fiat_jax.reasoning.voting import Vote, vote

PROMPT = Prompt("{question}", "Think.")
ROWS = [{"id": f"r{n}", "question": f"what is {n}?", "answer": "LABEL"} for n in range(3)]


def alike(answer: str) -> str:
    return answer.lower()


def sampled(seed: int, text: str) -> str:
    """Two of three samples say 'yes', the second one shorter; r2 gets no answer at all."""
    if "2" in text:
        return f"I wonder, {seed}"
    said = ["Long, long thoughts. The answer is: yes", "The answer is: no", "Short. The answer is: YES"]
    return said[seed - 1]


class Sampling(FakeOpenAI):
    """Answers by the seed of the request."""

    def _reply(self, path: str, text: str) -> Reply:
        seed = next(body["seed"] for body in reversed(self.bodies) if body["messages"][-1]["content"] == text)
        super()._reply(path, text)
        return Reply(200, completion(sampled(seed, text)))


@pytest.mark.parametrize(("keep", "kept"), [("shortest", "Short. The answer is: YES"), ("first", "Long, ")])
def test_the_answer_of_most_wins_and_each_sample_is_paid_for_once(
    tmp_path: Path, keep: Any, kept: str
) -> None:
    settings = Vote(samples=3, temperature=0.5, keep=keep)
    with Sampling() as server, Store(tmp_path / "s.sqlite") as store:
        for _ in range(2):
            voted = vote(
                {"test": ROWS}, PROMPT, OpenAI("m", server.url), store, settings, alike=alike, concurrency=1
            )
    assert voted["r0"].rationale.startswith(kept) and voted["r0"][1:] == (2, 3)
    assert voted["r2"] == ("I wonder, 1", 0, 3)
    assert len(server.bodies) == 9
    assert {(body["seed"], body["temperature"]) for body in server.bodies} == {(1, 0.5), (2, 0.5), (3, 0.5)}
    assert "LABEL" not in json.dumps(server.bodies)


def test_where_two_answers_have_as_many_votes_the_one_that_came_first_wins() -> None:
    samples = ["The answer is: b", "The answer is: a", "none", "x. The answer is: a", "x. The answer is: b"]
    assert Vote().choose(samples, PROMPT.marker, alike) == ("The answer is: b", 2, 5)


def test_votes_that_cannot_differ_are_refused() -> None:
    for wrong in ({"samples": 1}, {"temperature": 0.0}):
        with pytest.raises(ConfigError, match="Vote: expected samples of 2 or more"):
            Vote(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a seed and a temperature, found Replay"):
        Vote().clients(Replay("r.jsonl"))


class Shortening(FakeOpenAI):
    """Is as short as it is asked to; about r1 it stays too long, and about r2 it says something else."""

    def _reply(self, path: str, text: str) -> Reply:
        body = next(body for body in reversed(self.bodies) if body["messages"][-1]["content"] == text)
        super()._reply(path, text)
        words = int(re.findall(r"at most (\d+) words", text)[0])
        said, question = body["messages"][-2]["content"], body["messages"][1]["content"]
        kept = len(said.split()) - 6 if "1" in question and len(said.split()) > 30 else words
        answer = "elsewhere" if "2" in question else "here"
        return Reply(200, completion(" ".join(["so"] * (kept - 4)) + f" The answer is: {answer}"))


def long(words: int) -> str:
    return " ".join(["since"] * (words - 4)) + " The answer is: here"


def test_what_is_too_long_is_asked_for_again_and_what_stays_so_is_named(tmp_path: Path) -> None:
    before = {"r0": long(40), "r1": long(41), "r2": long(42), "r3": long(20)}
    rows = [*ROWS, {"id": "r3", "question": "what is 3?"}, {"id": "r4", "question": "what is 4?"}]
    with Shortening() as server, Store(tmp_path / "s.sqlite") as store:
        for _ in range(2):
            found = shorten(
                {"test": rows},
                before,
                PROMPT,
                OpenAI("m", server.url),
                store,
                Shorten(tokens=20, times=2),
                length=lambda text: len(text.split()),
                alike=alike,
                concurrency=1,
            )
    lengths = {id: len(text.split()) for id, text in found.rationales.items()}
    assert (lengths["r0"], lengths["r3"]) == (18, 20) and 20 < lengths["r1"] < 35
    assert found.rationales["r2"] == before["r2"] and set(found.rationales) == set(before)
    assert (found.asked, set(found.left)) == (3, {"r1", "r2"})
    asked = [body["messages"][1]["content"] for body in server.bodies]
    assert {question: asked.count(question) for question in asked} == {
        "what is 0?": 1,
        "what is 1?": 2,
        "what is 2?": 2,
    }
    first = server.bodies[0]["messages"]
    assert [turn["role"] for turn in first] == ["system", "user", "assistant", "user"]
    assert first[2]["content"] == before["r0"] and "at most 18 words" in first[3]["content"]
    assert "LABEL" not in json.dumps(server.bodies)


def test_a_budget_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="Shorten: expected tokens and times of 1 or more"):
        Shorten(tokens=0)
