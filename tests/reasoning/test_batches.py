"""Annotation in batches, against servers that take them."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_batches import (
    ANSWERED,
    BROKEN,
    EMPTY,
    ERRORED,
    EXPIRED,
    REFUSED,
    FakeAnthropicBatches,
    FakeBatches,
    FakeOpenAIBatches,
)
from fake_openai import DROPPED, FakeOpenAI, Reply
from run_annotation import examples

from fiat_jax.errors import BudgetReached, ConfigError, FiatError, InterruptedRun
from fiat_jax.reasoning import (
    Anthropic,
    Batch,
    Budget,
    Gemini,
    OpenAI,
    Price,
    Prompt,
    Rates,
    Store,
    Summary,
    annotate,
    open_rationales,
)
from fiat_jax.reasoning.budget import most_read
from fiat_jax.reasoning.forecast import forecast
from fiat_jax.reasoning.gathering import gather
from fiat_jax.reasoning.holdings import holdings
from fiat_jax.reasoning.status import status

KINDS = {"OpenAI": (OpenAI, FakeOpenAIBatches), "Anthropic": (Anthropic, FakeAnthropicBatches)}
KEY = "sk-canary-never-to-be-seen"
PROMPT = Prompt("{question}")
SOON = 0.01


class Annotation:
    """Ten examples asked in batches of four, into one store."""

    def __init__(self, kind: str, store: Path) -> None:
        self.client, self.server = KINDS[kind]
        self.store = store
        self.said = "" if kind == "OpenAI" else "invalid_request_error "

    def asked(self, server: FakeBatches, **settings: Any) -> OpenAI | Anthropic:
        return self.client("fake", base_url=server.url, **{"max_retries": 2, "max_tokens": 100} | settings)

    def __call__(
        self, server: FakeBatches, prompt: Prompt = PROMPT, count: int = 10, **settings: Any
    ) -> Summary:
        settings = {"batch": Batch(4, SOON), "client": self.asked(server)} | settings
        with Store(self.store) as store:
            return annotate({"train": examples(count)}, prompt, store=store, **settings)

    def gathered(self, server: FakeBatches, prompt: Prompt = PROMPT) -> Any:
        return gather({"train": examples(10)}, prompt, self.asked(server))


@pytest.fixture(params=KINDS)
def annotation(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Annotation:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setattr("fiat_jax.reasoning.retry._FIRST_PAUSE_S", 0.01)
    return Annotation(request.param, tmp_path / "r.sqlite")


def by(fates: dict[str, str]) -> Callable[[str], str]:
    return lambda text: fates.get(text, ANSWERED)


def test_every_request_is_sent_once_as_a_single_call_would_send_it(annotation: Annotation) -> None:
    with annotation.server(ready_s=0.1) as server:
        summary = annotation(server)
    assert (summary.answered, summary.calls, summary.prompt_tokens, summary.completion_tokens) == (
        10,
        10,
        110,
        70,
    )
    assert dict(open_rationales(annotation.store)) == {
        f"e-{n}": f"thoughts on question {n}" for n in range(10)
    }
    assert [len(batch.requests) for batch in server.batches.values()] == [4, 4, 2]
    gathered = annotation.gathered(server)
    sent = {key: body for batch in server.batches.values() for key, body in batch.requests.items()}
    payloads = {gathered.keys[each.id]: annotation.asked(server).payload(each) for each in gathered.requests}
    assert sent == payloads
    with sqlite3.connect(annotation.store) as db:
        assert db.execute("SELECT DISTINCT served_model FROM rationales").fetchall() == [("fake-1",)]


def test_a_run_that_does_not_wait_says_so_and_a_later_one_fetches(annotation: Annotation) -> None:
    leaves = Batch(4, SOON, wait=False)
    with annotation.server(ready_s=3600) as server:
        for _ in range(2):
            with pytest.raises(InterruptedRun, match="in batches: 10; the same command fetches them"):
                annotation(server, batch=leaves)
        server.ready_s = 0.0
        assert annotation(server, batch=leaves).answered == 10
    assert len(server.asked) == 10 and set(server.asked.values()) == {1}


def test_a_base_model_is_sent_texts(tmp_path: Path) -> None:
    annotation = Annotation("OpenAI", tmp_path / "r.sqlite")
    with FakeOpenAIBatches() as server:
        assert annotation(server, client=annotation.asked(server, form="completion")).answered == 10
    assert b'"url":"/v1/completions"' in server.files["file-0"]
    assert open_rationales(annotation.store)["e-1"] == "thoughts on question 1"


def test_the_providers_counts_are_shown_while_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fiat_jax.reasoning.progress._SAY_EVERY_S", 0.0)
    with FakeOpenAIBatches(ready_s=0.5) as server:
        Annotation("OpenAI", tmp_path / "r.sqlite")(server)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("sent")] == [
        f"sent {count} requests as batch batch-{n}" for n, count in enumerate((4, 4, 2))
    ]
    shown = [line.split(" calls")[0] for line in lines if "calls done" in line]
    assert shown[0] == "0 of 10" and "3 of 10" in shown and shown[-1] == "10 of 10"


def test_what_fails_is_set_aside_or_asked_again_as_single_calls_are(annotation: Annotation) -> None:
    fates = {"question 1": ERRORED, "question 2": EXPIRED, "question 3": BROKEN, "question 4": EMPTY}
    with annotation.server(fate=by(fates)) as server:
        with pytest.raises(FiatError, match=r"6 of 10 .*set aside: 2; 4 have none"):
            annotation(server)
        reasons = {
            failure.reason for failure in holdings(annotation.store).failures.values() if failure.set_aside
        }
        assert reasons == {f"127.0.0.1 answered 400 ({annotation.said}{REFUSED})", "the answer is empty"}
        server.fate = by({})
        with pytest.raises(FiatError, match=r"8 of 10 .*all of them are set aside"):
            annotation(server)
        assert annotation(server, retry_failed=True).answered == 10
    keys = annotation.gathered(server).keys
    assert [server.asked[keys[f"e-{n}"]] for n in range(6)] == [1, 2, 2, 2, 2, 1]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"response": None, "error": {"code": "batch_cancelled"}}, "batch_cancelled"),
        ({"response": None, "error": None}, "the batch has no result for it"),
        ({"response": {"status_code": 500, "message": "out of order"}}, "answered 500"),
        ({"response": {"status_code": 200, "body": None}}, "something else in the place of chat completions"),
    ],
)
def test_a_row_that_says_little_fails_that_request_alone(
    told: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotation = Annotation("OpenAI", tmp_path / "r.sqlite")
    with FakeOpenAIBatches(fate=by({"question 1": ERRORED})) as server:
        proper = server.row

        def row(id: str, body: dict[str, Any], fate: str) -> dict[str, Any]:
            return {"custom_id": id, **told} if fate == ERRORED else proper(id, body, fate)

        monkeypatch.setattr(server, "row", row)
        with pytest.raises(FiatError, match=f"9 of 10 .*{says}"):
            annotation(server)
        server.fate = by({})
        assert annotation(server).answered == 10


def test_when_all_of_a_large_batch_is_refused_none_is_set_aside(annotation: Annotation) -> None:
    with annotation.server(fate=lambda text: ERRORED) as server, pytest.raises(FiatError, match="too long"):
        annotation(server, count=30, batch=Batch(30, SOON))
    failures = holdings(annotation.store).failures.values()
    assert len(failures) == 30 and not any(failure.set_aside for failure in failures)


@pytest.mark.parametrize("reply", [Reply(500), Reply(429), DROPPED, Reply(200, "{}")])
@pytest.mark.parametrize("when", ["", "after "])
def test_sending_that_fails_or_seems_to_is_not_done_twice(
    annotation: Annotation, when: str, reply: Reply
) -> None:
    with annotation.server() as server:
        server.faults = {f"{when}{server.sending}": [reply]}
        assert annotation(server).answered == 10
    assert len(server.batches) == 3 and set(server.asked.values()) == {1}


def test_results_that_are_cut_are_read_again(annotation: Annotation) -> None:
    with annotation.server() as server:
        server.faults = {server.reading: [Reply(200, '{"custom_id": "x'), Reply(500), DROPPED]}
        assert annotation(server, client=annotation.asked(server, max_retries=4)).answered == 10
    assert set(server.asked.values()) == {1}


def test_a_batch_that_is_refused_ends_the_run_and_is_not_in_the_store(annotation: Annotation) -> None:
    with annotation.server() as server:
        server.faults = {server.sending: [Reply(400, '{"error": {"message": "no such file"}}')]}
        with pytest.raises(FiatError, match="no such file"):
            annotation(server)
        server.faults = {server.sending: [Reply(401, json.dumps({"error": {"message": f"bad {KEY}"}}))]}
        with pytest.raises(ConfigError, match=r"bad \*\*\*.*check (OPENAI|ANTHROPIC)_API_KEY"):
            annotation(server)
        assert holdings(annotation.store).batches == [] and not server.batches
        assert annotation(server).answered == 10


def test_a_batch_that_openai_refuses_when_it_has_it_is_asked_again_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotation = Annotation("OpenAI", tmp_path / "r.sqlite")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeOpenAIBatches() as server:
        server.refusal = f"enqueued token limit reached for {KEY}"
        with pytest.raises(
            FiatError, match=r"the batch is failed \(enqueued token limit reached for \*\*\*\)"
        ):
            annotation(server)
        server.refusal = None
        assert annotation(server).answered == 10
    assert KEY.encode() not in annotation.store.read_bytes()


def test_a_batch_of_another_prompt_stays_apart(annotation: Annotation) -> None:
    leaves, other = Batch(10, SOON, wait=False), Prompt("Why {question}")
    with annotation.server(ready_s=3600) as server:
        for prompt in (PROMPT, other):
            with pytest.raises(InterruptedRun):
                annotation(server, prompt, batch=leaves)
        server.ready_s = 0.0
        assert annotation(server, other).answered == 10
        (left,) = holdings(annotation.store).batches
        assert left.keys == tuple(annotation.gathered(server).keys.values())
        assert open_rationales(annotation.store)["e-1"] == "thoughts on Why question 1"
        assert annotation(server).answered == 10
    assert set(server.asked.values()) == {1}
    assert open_rationales(annotation.store)["e-1"] == "thoughts on question 1"


def test_what_is_in_batches_is_not_asked_one_by_one(annotation: Annotation) -> None:
    with annotation.server(ready_s=3600) as server:
        with pytest.raises(InterruptedRun):
            annotation(server, batch=Batch(wait=False))
        with pytest.raises(ConfigError, match=r"annotate\.batch: expected @Batch\(\), found none, and 10 of"):
            annotation(server, batch=None)


def test_a_batch_that_is_gone_is_said_and_asked_anew_on_demand(annotation: Annotation) -> None:
    with annotation.server(ready_s=3600) as server:
        with pytest.raises(InterruptedRun):
            annotation(server, batch=Batch(wait=False))
        server.batches["batch-0"].gone = True
        server.ready_s = 0.0
        with pytest.raises(
            ConfigError, match=r"expected batch batch-0 of 10 requests at the provider, found"
        ):
            annotation(server)
        assert annotation(server, retry_failed=True).answered == 10


def test_calls_are_bounded_and_what_is_in_batches_counts(annotation: Annotation) -> None:
    with annotation.server(ready_s=3600) as server:
        for _ in range(2):
            with pytest.raises(BudgetReached, match=r"max_calls = 5 is reached: 0 of 10 .*in batches: 5"):
                annotation(server, budget=Budget(max_calls=5), batch=Batch(4, SOON, wait=False))
        assert server.asked.total() == 5
        server.ready_s = 0.0
        with pytest.raises(BudgetReached, match="5 of 10"):
            annotation(server, budget=Budget(max_calls=5))
        assert annotation(server, budget=Budget(max_calls=5)).answered == 10
    assert set(server.asked.values()) == {1}


def test_money_is_set_aside_before_a_batch_is_sent_and_what_is_left_of_it_is_used(
    annotation: Annotation,
) -> None:
    price = Price(read=1.0, written=10.0)
    with annotation.server() as server:
        client = annotation.asked(server, max_tokens=10)
        request = annotation.gathered(server).requests[0]
        most = price.cost(most_read(client.payload(request)), 10)
        spent = price.cost(11, 7)
        budget = Budget(price, max_cost=2.5 * most)
        with pytest.raises(BudgetReached, match="max_cost"):
            annotation(server, budget=budget, client=client)
        answers = len(open_rationales(annotation.store))
        assert answers * spent <= 2.5 * most < answers * spent + most
        assert answers > 2 and len(server.batches["batch-0"].requests) == 2
    assert set(server.asked.values()) == {1}


def test_the_status_and_the_dry_run_say_what_is_in_batches(annotation: Annotation) -> None:
    with annotation.server(ready_s=3600) as server:
        with pytest.raises(BudgetReached):
            annotation(server, budget=Budget(max_calls=4), batch=Batch(4, SOON, wait=False))
        calls, gathered = server.calls.total(), annotation.gathered(server)
        said = status(gathered, annotation.store)
        plan = forecast(gathered, annotation.asked(server), annotation.store, Budget())
        assert server.calls.total() == calls
    rows = [line.split("  ") for line in said.splitlines()[:2]]
    assert [cell.strip() for cell in rows[0] if cell.strip()] == [
        "split", "examples", "answered", "failed", "set aside", "in batches", "to ask",
    ]  # fmt: skip
    assert said.splitlines()[1].split() == ["train", "10", "0", "0", "0", "4", "6"]
    assert "in a batch: 4 requests, as batch-0 (sent at 20" in said
    assert "10 examples: 0 answered, 0 set aside, 4 in batches; calls to make: 6\n" in str(plan)


def test_a_batch_among_many_pages_is_found(annotation: Annotation) -> None:
    with annotation.server() as server:
        server.page = 2
        for n in range(5):
            body = next(iter(annotation.gathered(server).requests))
            server.put_in({f"other-{n}-{m}": annotation.asked(server).payload(body) for m in range(4)})
        server.faults = {f"after {server.sending}": [DROPPED]}
        assert annotation(server).answered == 10
    assert set(server.asked.values()) == {1}


def test_what_cannot_be_with_batches_is_refused(tmp_path: Path) -> None:
    def refused(match: str, client: Any = None, **settings: Any) -> None:
        with Store(tmp_path / "r.sqlite") as store, pytest.raises(ConfigError, match=match):
            annotate({}, PROMPT, client or OpenAI("fake"), store, batch=Batch(), **settings)

    refused("expected a client that can send batches, OpenAI or Anthropic, found Gemini", Gemini("fake"))
    refused("expected no requests_per_minute", rates=Rates(requests_per_minute=60))
    for settings in ({"size": 0}, {"size": 50_001}, {"poll_s": 0.0}):
        with pytest.raises(ConfigError, match="expected a size of 1 to 50000 and poll_s above 0"):
            Batch(**settings)


def test_a_server_without_batches_is_said_and_can_be_asked_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotation = Annotation("OpenAI", tmp_path / "r.sqlite")
    with FakeOpenAIBatches() as server:
        monkeypatch.setattr(server, "answer", lambda *_: Reply(404, '{"detail": "Not Found"}'))
        with pytest.raises(ConfigError, match=r"answered 404 .*expected files of 'fake' there"):
            annotation(server)
    with FakeOpenAI() as server:
        assert annotation(server, batch=None).answered == 10


def test_the_key_is_in_no_error_of_a_request_and_not_in_the_store(
    annotation: Annotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_batches.REFUSED", f"your key is {KEY}")
    with (
        annotation.server(fate=by({"question 1": ERRORED})) as server,
        pytest.raises(FiatError, match=r"your key is \*\*\*") as caught,
    ):
        annotation(server)
    assert KEY not in str(caught.value)
    assert KEY.encode() not in annotation.store.read_bytes()
