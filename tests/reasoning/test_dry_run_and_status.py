"""What `fiat annotate` says without asking anything: what the calls will need, and how far the store is."""

import json
from pathlib import Path
from typing import Any

import pytest
from beam_task import task, write_rows
from fake_openai import FakeOpenAI, Reply

from fiat_jax.cli.annotate import annotate
from fiat_jax.data.sources import Jsonl
from fiat_jax.errors import ConfigError, FiatError
from fiat_jax.reasoning import OpenAI, Price, Prompt, Replay
from fiat_jax.reasoning.beam import Beam

PRICE = Price(read=1.0, written=10.0, currency="EUR")
NO = Reply(400, '{"error": {"message": "too long"}}')


class Annotation:
    """`fiat annotate` on 30 training and 10 test examples, against a server."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for split, count in (("train", 30), ("test", 10)):
            rows = [
                {"id": f"{split}-{n}", "question": f"{split} question {n:02}", "answer": "LABEL"}
                for n in range(count)
            ]
            write_rows(folder / f"{split}.jsonl", rows)
        self.task = task(Jsonl(train=f"{folder}/train.jsonl", test=f"{folder}/test.jsonl"))
        self.store, self._capsys = folder / "r.sqlite", capsys

    def __call__(self, server: FakeOpenAI, prompt: str = "{question}", **settings: Any) -> str:
        settings = {"client": OpenAI("fake", base_url=server.url, max_tokens=100)} | settings
        try:
            annotate(self.task, store=str(self.store), prompt=Prompt(prompt), **settings)
        except FiatError:
            return ""
        finally:
            said = self._capsys.readouterr().out
        return said


@pytest.fixture
def annotation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Annotation:
    return Annotation(tmp_path, capsys)


def test_a_dry_run_asks_nothing_and_makes_nothing(annotation: Annotation) -> None:
    with FakeOpenAI() as server:
        said = annotation(server, dry_run=True)
    assert "40 examples: 0 answered, 0 set aside; calls to make: 40\n" in said
    assert "(one for 4.0 bytes: a guess), at most 4,000 written" in said
    assert "price: not known; bind annotate.price = @Price()" in said
    assert not server.asked and not annotation.store.exists()


def test_a_dry_run_goes_by_the_answers_that_are_there_and_changes_nothing(annotation: Annotation) -> None:
    with FakeOpenAI() as server:
        annotation(server, splits=("test",))
        before = annotation.store.read_bytes()
        said = annotation(server, dry_run=True, price=PRICE)
        asked = server.asked.total()
    size = len(json.dumps(server.bodies[0]))  # of a request of 'test': one byte less than of 'train'
    each = (size + 1) / (size / 11)
    assert asked == 10 and annotation.store.read_bytes() == before
    assert "40 examples: 10 answered, 0 set aside; calls to make: 30\n" in said
    assert f"tokens, estimated: {30 * each:,.0f} read" in said
    assert "measured on 10 answers here), 210 written" in said  # the server writes 7 tokens each
    most = PRICE.cost(30 * (size + 1 + 64), 30 * 100)
    assert f"price: about {PRICE.say(PRICE.cost(30 * each, 210))}, at most {PRICE.say(most)}" in said


def test_a_dry_run_keeps_to_the_budget(annotation: Annotation) -> None:
    with FakeOpenAI() as server:
        said = annotation(server, dry_run=True, price=PRICE, max_calls=15, max_cost=0.001)
    assert "calls to make: 15, 25 more than max_calls allows" in said
    assert said.rstrip().endswith("max_cost = 0.001 may end the run before")


def test_the_estimate_of_tokens_and_price_is_what_the_run_then_costs(annotation: Annotation) -> None:
    with FakeOpenAI() as server:
        annotation(server, splits=("test",))
        forecast = annotation(server, dry_run=True, price=PRICE)
        run = annotation(server, price=PRICE)
    assert "about 0.0024 EUR" in forecast and "30 calls now, 330 tokens read, 210 written, 0.0024 EUR" in run


def test_the_status_tells_splits_prompts_and_failures_apart(annotation: Annotation) -> None:
    def fault(text: str, attempt: int) -> Reply | None:
        if text == "train question 03":
            return NO
        return Reply(500) if text == "train question 04" else None

    with FakeOpenAI(fault) as server:
        client = OpenAI("fake", base_url=server.url, max_retries=0)
        annotation(server, "About {question}", splits=("test",))
        annotation(server, client=client, splits=("train",))
        asked = server.asked.total()
        said = annotation(server, client=client, status=True, price=PRICE)
    assert server.asked.total() == asked
    blocks = said.split("\n\n")
    assert [line.split() for line in blocks[1].splitlines()] == [
        ["split", "examples", "answered", "failed", "set", "aside", "to", "ask"],
        ["train", "30", "28", "1", "1", "1"],
        ["test", "10", "0", "0", "0", "10"],
    ]
    prompts = [line.split() for line in blocks[2].splitlines()]
    assert prompts[0] == ["prompt", "model", "answers", "read", "written", "cached", "cost", "last"]
    assert [row[1:9] for row in prompts[1:]] == [
        ["fake", "(fake-1", "fp)", "10", "110", "70", "0", "0.0008"],
        ["fake", "(fake-1", "fp)", "28", "308", "196", "0", "0.0023"],
    ]
    assert "set aside: train-3 (train): 127.0.0.1 answered 400 (too long) (once, at 20" in blocks[3]
    assert "failed: train-4 (train): gave up after 1 attempts" in blocks[3]


def test_the_status_of_a_store_that_is_not_there_yet_makes_none(annotation: Annotation) -> None:
    with FakeOpenAI() as server:
        said = annotation(server, status=True)
    assert "train" in said and not annotation.store.exists()


def test_a_replay_has_no_price_and_its_dry_run_says_so(annotation: Annotation, tmp_path: Path) -> None:
    write_rows(tmp_path / "r.jsonl", [{"id": "train-0", "rationale": "since"}])
    with FakeOpenAI() as server:
        said = annotation(server, client=Replay(str(tmp_path / "r.jsonl")), dry_run=True, price=PRICE)
    assert "any number written" in said and "price: without bound" in said


@pytest.mark.parametrize(
    "settings",
    [
        {"max_calls": 3},
        {"max_cost": 1.0, "price": PRICE},
        {"requests_per_minute": 60.0},
        {"tokens_per_minute": 60.0},
        {"retry_failed": True},
        {"limit": 3},
    ],
)
def test_what_a_pipeline_cannot_keep_to_is_refused(annotation: Annotation, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"annotate.{next(iter(settings))}: expected none with a pipeline"):
        annotate(
            annotation.task, OpenAI("fake"), "r", Prompt("{question}"), pipeline=Beam("none"), **settings
        )
