"""Batches of a process that is killed at every stage, or told to stop: nothing is asked twice."""

import signal
from pathlib import Path

import pytest
from fake_batches import FakeAnthropicBatches, FakeBatches, FakeOpenAIBatches
from killable import KEY, Process, wait_until
from run_annotation import examples

from fiat_jax.reasoning import open_rationales
from fiat_jax.reasoning.holdings import holdings

COUNT = 10
EXPECTED = {each["id"]: f"thoughts on {each['question']}" for each in examples(COUNT)}
SERVERS = {"OpenAI": FakeOpenAIBatches, "Anthropic": FakeAnthropicBatches}
KEYS = {"OpenAI": "OPENAI_API_KEY", "Anthropic": "ANTHROPIC_API_KEY"}


@pytest.fixture(params=SERVERS)
def client(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store" / "rationales.sqlite"


def start(client: str, server: FakeBatches, store: Path) -> Process:
    words = [client, server.url, str(store), str(COUNT)]
    return Process("run_batches.py", words, KEYS[client], store.parent.parent / "log.txt")


def goes_on(client: str, server: FakeBatches, store: Path) -> None:
    """The same command ends well, and the server has been asked each question once."""
    run = start(client, server, store)
    assert run.end() == 0, run.output
    assert "10 of 10 examples have a rationale" in run.output
    assert dict(open_rationales(store)) == EXPECTED
    assert len(server.asked) == COUNT and set(server.asked.values()) == {1}
    assert holdings(store).batches == [] and [each.name for each in store.parent.iterdir()] == [store.name]
    assert all(KEY in headers[server.key_header] for headers in server.headers)
    assert KEY not in run.output
    assert all(KEY.encode() not in each.read_bytes() for each in store.parent.iterdir())


@pytest.mark.parametrize("after", [False, True], ids=["before it arrived", "after it arrived"])
@pytest.mark.parametrize("stage", ["sending", "looking", "reading"])
def test_a_kill_at_any_stage_repeats_no_request(client: str, stage: str, after: bool, store: Path) -> None:
    with SERVERS[client]() as server:
        held = server.hold(getattr(server, stage), after)
        run = start(client, server, store)
        assert held.seen.wait(30), run.output
        run.kill()
        server.drop()
        noted = holdings(store).batches
        assert noted and (stage == "sending") == any(each.batch is None for each in noted)
        goes_on(client, server, store)


def test_a_kill_during_the_upload_leaves_no_batch_behind(store: Path) -> None:
    for after in (False, True):
        with FakeOpenAIBatches() as server:
            held = server.hold("POST /files", after)
            run = start("OpenAI", server, store)
            assert held.seen.wait(30), run.output
            run.kill()
            server.drop()
            assert not server.batches
    with FakeOpenAIBatches() as server:
        goes_on("OpenAI", server, store)


def test_a_batch_that_arrived_unseen_is_found_while_it_is_still_worked_on(client: str, store: Path) -> None:
    with SERVERS[client](ready_s=1.5) as server:
        held = server.hold(server.sending, after=True)
        run = start(client, server, store)
        assert held.seen.wait(30), run.output
        run.kill()
        server.drop()
        goes_on(client, server, store)
    assert len(server.batches) == 3


def test_a_server_that_dies_and_restarts_is_waited_for(client: str, store: Path) -> None:
    with SERVERS[client](ready_s=3600) as server:
        run = start(client, server, store)
        wait_until(lambda: server.calls[server.looking] >= 3)
        server.stop()
        server.ready_s = 0.0
        wait_until(lambda: "gave up after 3 attempts" in run.output)
        server.start()
        assert run.end() == 0, run.output
        assert dict(open_rationales(store)) == EXPECTED
        assert set(server.asked.values()) == {1}


def test_a_second_run_that_would_take_the_batches_of_the_first_for_lost_is_refused(
    client: str, store: Path
) -> None:
    with SERVERS[client]() as server:
        held = server.hold(server.sending)
        first = start(client, server, store)
        assert held.seen.wait(30), first.output
        second = start(client, server, store)
        assert second.end() == 1
        assert "expected no other run that sends or fetches its batches, found one" in second.output
        first.kill()
        server.drop()
        goes_on(client, server, store)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_run_that_is_told_to_stop_leaves_its_batches_to_the_next(
    client: str, number: int, exit_code: int, store: Path
) -> None:
    with SERVERS[client](ready_s=3600) as server:
        run = start(client, server, store)
        wait_until(lambda: server.calls[server.looking] >= 3)
        run.process.send_signal(number)
        assert run.end() == exit_code
        assert "0 of 10 examples have a rationale" in run.output and "in batches: 10" in run.output
        assert "the same command goes on from here" in run.output
        server.ready_s = 0.0
        goes_on(client, server, store)
