"""Annotation against a real HTTP server, in a process that is killed, interrupted, or told to stop."""

import signal
from pathlib import Path

import pytest
from fake_openai import BROKEN, FakeOpenAI, Reply, flaky
from killable import KEY, Process, wait_until
from run_annotation import CONCURRENCY, examples

from fiat_jax.reasoning import open_rationales

COUNT = 120
EXPECTED = {each["id"]: f"thoughts on {each['question']}" for each in examples(COUNT)}


def start(server: FakeOpenAI, store: Path, timeout_s: float = 2.0) -> Process:
    words = [server.url, str(store), str(COUNT), str(timeout_s)]
    return Process("run_annotation.py", words, "OPENAI_API_KEY", store.parent.parent / "log.txt")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store" / "rationales.sqlite"


def kept(store: Path) -> dict[str, str]:
    return dict(open_rationales(store)) if store.exists() else {}


def test_a_run_killed_twice_on_a_flaky_server_repeats_no_successful_call(store: Path) -> None:
    with FakeOpenAI(flaky(0.2, seed=7)) as server:
        answers = 0
        for more in (30, 45):
            answers += more
            server.hold_after(more)
            run = start(server, store)
            # Calls are in flight and the server withholds their answers; what it did answer is kept.
            wait_until(lambda: server.held >= CONCURRENCY // 2)
            wait_until(lambda answers=answers: len(kept(store)) == server.answered.total() == answers)
            run.kill()
            server.release(answer=False)
        run = start(server, store)
        assert run.end() == 0
    assert f"120 of 120 examples have a rationale; {COUNT - answers} calls now" in run.output
    assert kept(store) == EXPECTED
    assert set(server.answered.values()) == {1} and server.answered.total() == COUNT
    assert set(+server.failed) == {429, 500, 0, 200}
    assert server.failed.total() > 0.15 * server.asked.total()


def test_a_kill_at_any_moment_costs_at_most_the_calls_in_flight(store: Path) -> None:
    kills = (10, 50, 90)
    with FakeOpenAI() as server:
        for answers in kills:
            run = start(server, store)
            wait_until(lambda answers=answers: server.answered.total() >= answers)
            run.kill()
        run = start(server, store)
        assert run.end() == 0
    assert kept(store) == EXPECTED
    assert server.answered.total() <= COUNT + len(kills) * CONCURRENCY


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_stopped_run_keeps_the_calls_in_flight_and_takes_no_new_ones(
    store: Path, number: int, exit_code: int
) -> None:
    with FakeOpenAI() as server:
        server.hold_after(20)
        run = start(server, store, timeout_s=60)
        wait_until(lambda: server.held == CONCURRENCY)
        run.process.send_signal(number)
        wait_until(lambda: "stopping after the calls in flight" in run.output)
        server.release(answer=True)
        assert run.end() == exit_code
    assert f"{20 + CONCURRENCY} of {COUNT} examples have a rationale" in run.output
    assert "the same command goes on from here" in run.output
    assert len(kept(store)) == server.answered.total() == server.asked.total() == 20 + CONCURRENCY
    assert [each.name for each in store.parent.iterdir()] == [store.name]


def test_a_second_signal_ends_a_run_whose_calls_hang(store: Path) -> None:
    with FakeOpenAI() as server:
        server.hold_after(20)
        run = start(server, store, timeout_s=60)
        wait_until(lambda: server.held == CONCURRENCY)
        run.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping after the calls in flight" in run.output)
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == -signal.SIGTERM
    assert len(kept(store)) == 20


def test_the_key_reaches_the_server_and_nothing_else(store: Path) -> None:
    echo = Reply(400, f'{{"error": {{"message": "your key is {KEY}"}}}}')

    def fault(text: str, attempt: int) -> Reply | None:
        return echo if text.endswith("7") else BROKEN if text.endswith("1") and attempt == 0 else None

    with FakeOpenAI(fault) as server:
        run = start(server, store)
        assert run.end() == 1
    assert "your key is ***" in run.output and "12 have none (e-7, e-17," in run.output
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
    assert KEY not in run.output
    assert all(KEY.encode() not in each.read_bytes() for each in store.parent.iterdir())
