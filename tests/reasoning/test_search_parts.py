"""The parts of a search: what is read of replies, how prompts compare, what is kept of calls and scores."""

import json
import threading

import pytest
from fake_reasoner import FakeReasoner

from fiat_jax.errors import BudgetReached, ConfigError, DataError
from fiat_jax.reasoning import Request, Store
from fiat_jax.reasoning.search import History, Ledger
from fiat_jax.reasoning.search.intervals import compare
from fiat_jax.reasoning.search.wording import read_instruction


@pytest.mark.parametrize(
    "reply",
    [
        "<instruction>Read it.</instruction>",
        "Sure!\n<Instruction>\nRead it.\n</Instruction> Good luck.",
        "<instruction>No.</instruction> or <instruction>Read it.",
        "Read it.",
        "**Instruction:** Read it.",
        'New instruction: "Read it."',
    ],
)
def test_an_instruction_is_read_without_what_stands_around_it(reply):
    assert read_instruction(reply) == "Read it."


def test_prompts_are_compared_by_the_same_examples():
    start, best = [0.0, 1.0] * 50, [0.2, 1.2] * 50
    found = compare(start, best, seed=0)
    assert (found.start, found.best, found.n) == (0.5, pytest.approx(0.7), 100)
    assert found.low == pytest.approx(0.2) and found.high == pytest.approx(0.2)  # apart, both vary much more
    assert str(found) == "0.700 against 0.500 of the start, +0.200 [+0.200, +0.200], n = 100"


def test_an_interval_is_as_wide_as_theory_has_it_and_follows_from_its_seed():
    start, best = [0.0] * 400, [1.0] * 100 + [0.0] * 300
    found = compare(start, best, seed=0)
    error = (0.25 * 0.75 / 400) ** 0.5
    assert found.low == pytest.approx(0.25 - 1.96 * error, abs=0.006)
    assert found.high == pytest.approx(0.25 + 1.96 * error, abs=0.006)
    assert compare(start, best, seed=0) == found


def request(text):
    return Request(f"id of {text}", ({"role": "user", "content": text},))


@pytest.fixture
def client():
    return FakeReasoner({text: f"answer {text}" for text in "abcdefgh"}, skill=lambda instruction, shots: 1.0)


def test_equal_requests_are_asked_once_and_answers_come_in_order(tmp_path, client):
    with Store(tmp_path / "calls.sqlite") as store:
        ledger = Ledger(store, client, concurrency=3)
        replies = ledger.ask([request(text) for text in "abacba"])
        assert [reply.text[-2] for reply in replies] == list("abacba")
        ledger.ask([request(text) for text in "cab"])
        assert sorted(one.messages[0]["content"] for one in client.requests) == ["a", "b", "c"]
        assert ledger.calls == 3


def test_answers_of_earlier_starts_count_and_are_free(tmp_path, client):
    with Store(tmp_path / "calls.sqlite") as store:
        Ledger(store, client).ask([request("a"), request("b")])
    with Store(tmp_path / "calls.sqlite") as store:
        ledger = Ledger(store, client, max_calls=3)
        assert ledger.calls == 2
        ledger.ask([request("a"), request("b"), request("c")])
        ledger.ask([request("c")])
        with pytest.raises(BudgetReached, match="all of the 3 calls that max_calls allows are used"):
            ledger.ask([request("d")])
    assert len(client.requests) == 3


def test_many_threads_at_once_stay_within_the_budget(tmp_path):
    ready = threading.Barrier(4, timeout=10)

    class Together(FakeReasoner):
        def complete(self, request, wait=None):
            ready.wait()
            return super().complete(request)

    client = Together({str(n): "x" for n in range(40)})
    with Store(tmp_path / "calls.sqlite") as store:
        ledger = Ledger(store, client, concurrency=4, max_calls=4)
        with pytest.raises(BudgetReached):
            ledger.ask([request(str(n)) for n in range(40)])
        assert len(client.requests) == ledger.calls == len(list(store.answered())) == 4


def test_a_ledger_without_a_call_at_a_time_is_refused(tmp_path, client):
    with Store(tmp_path / "calls.sqlite") as store:
        for settings in ({"concurrency": 0}, {"max_calls": 0}):
            with pytest.raises(ConfigError, match="above 0"):
                Ledger(store, client, **settings)


def test_a_history_is_walked_through_before_it_grows(tmp_path):
    path = tmp_path / "history.jsonl"
    first = History(path)
    assert first.known({"name": "a"}) is None
    first.add({"name": "a", "score": 0.1})
    assert first.known({"name": "b"}) is None
    path.write_text(path.read_text() + '{"name": "b", "sc')
    again = History(path)
    assert again.entries == [] and again.known({"name": "a"})["score"] == 0.1
    assert again.known({"name": "b"}) is None
    again.add({"name": "b", "score": 0.2})
    assert [json.loads(line)["name"] for line in path.read_text().splitlines()] == ["a", "b"]
    with pytest.raises(DataError, match=r"history.jsonl:1: expected name 'z' as this .*, found 'a'"):
        History(path).known({"name": "z"})


def test_a_broken_history_is_named(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text("nonsense\n")
    with pytest.raises(DataError, match=r"history.jsonl: expected the history of a search"):
        History(path)
