"""`fiat annotate` on a task of JSONL files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_batches import FakeOpenAIBatches
from fake_openai import FakeOpenAI

from fiat_jax.cli.annotate import annotate
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError, DataError, InterruptedRun
from fiat_jax.reasoning import Batch, OpenAI, Price, Prompt, Replay, open_rationales
from fiat_jax.reasoning.beam import Beam


@pytest.fixture
def task(tmp_path: Path) -> Task:
    for language in ("hau", "zul"):
        for split, count in (("train", 3), ("test", 2)):
            rows = (
                {"id": f"{language}-{split}-{n}", "question": f"{language} {split} {n}?", "gold": "LABEL"}
                for n in range(count)
            )
            (tmp_path / f"{language}.{split}.jsonl").write_text(
                "".join(json.dumps(row) + "\n" for row in rows)
            )
    return Task(
        name="tiny",
        source=Jsonl(
            train=f"{tmp_path}/{{language}}.train.jsonl", test=f"{tmp_path}/{{language}}.test.jsonl"
        ),
        template=Template(input="{question}", target="{answer}", cut=""),
        vocabulary="byte",
        languages=("hau", "zul"),
        answer_field="gold",
        holdout=1,
    )


def test_all_splits_and_languages_are_annotated_and_the_outcome_is_printed(
    task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "r.sqlite")
    with FakeOpenAI() as server:
        annotate(task, OpenAI("fake", base_url=server.url), store, Prompt("{question}"))
    assert "LABEL" not in json.dumps(server.bodies)
    ids = {f"{language}-{name}" for language in ("hau", "zul") for name in ("train-0", "train-1", "train-2")}
    ids |= {f"{language}-test-{n}" for language in ("hau", "zul") for n in range(2)}
    assert set(open_rationales(store)) == ids
    assert capsys.readouterr().out.startswith(f"{store}: 10 of 10 examples have a rationale; 10 calls now")


def test_the_prompt_of_the_task_is_asked_and_its_exemplars_are_not(task: Task, tmp_path: Path) -> None:
    store = str(tmp_path / "r.sqlite")
    exemplar = {"id": "hau-train-0", "question": "hau train 0?", "rationale": "since"}
    task = replace(task, prompt=Prompt("{question}", exemplars=(exemplar,)), holdout=0)
    with FakeOpenAI() as server:
        annotate(task, OpenAI("fake", base_url=server.url), store)
    ids = {row["id"] for split in ("train", "test") for row in task.rows(split)}
    assert set(open_rationales(store)) == ids and len(ids) == 9
    assert {body["messages"][1]["content"] for body in server.bodies} == {"since"}


def test_replay_needs_no_prompt_and_one_split_may_be_chosen(task: Task, tmp_path: Path) -> None:
    source = tmp_path / "r.jsonl"
    ids = [row["id"] for row in task.rows("test")]
    source.write_text("".join(json.dumps({"id": id, "rationale": "since"}) + "\n" for id in ids))
    store = str(tmp_path / "r.sqlite")
    annotate(task, Replay(str(source)), store, splits=("test",))
    assert open_rationales(store) == dict.fromkeys(ids, "since")


def test_rows_without_answers_may_be_annotated_in_the_place_of_the_splits(task: Task, tmp_path: Path) -> None:
    new, store = tmp_path / "new.jsonl", str(tmp_path / "r.sqlite")
    new.write_text('{"question": "who?"}\n{"question": "what?", "id": "w"}\n')
    with FakeOpenAI() as server:
        client = OpenAI("fake", base_url=server.url)
        annotate(task, client, store, Prompt("{question}"), input=str(new))
        with pytest.raises(ConfigError, match=r"annotate\.splits: expected none beside annotate\.input"):
            annotate(task, client, store, Prompt("{question}"), splits=("test",), input=str(new))
    assert open_rationales(store) == {"1": "thoughts on who?", "w": "thoughts on what?"}


def test_a_prompt_that_reads_the_label_under_either_of_its_names_is_a_leak(
    task: Task, tmp_path: Path
) -> None:
    for field in ("gold", "answer"):
        with pytest.raises(DataError, match=f"found '{field}'"):
            annotate(task, OpenAI("fake"), str(tmp_path / "r.sqlite"), Prompt(f"{{question}} {{{field}}}"))


def test_batches_are_sent_by_one_run_and_fetched_by_the_next(
    task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, leaves = str(tmp_path / "r.sqlite"), Batch(size=6, wait=False)
    with FakeOpenAIBatches(ready_s=3600) as server:
        client = OpenAI("fake", base_url=server.url)
        with pytest.raises(InterruptedRun, match="in batches: 10; the same command fetches them"):
            annotate(task, client, store, Prompt("{question}"), batch=leaves)
        with pytest.raises(ConfigError, match=r"annotate\.batch: expected none with a pipeline"):
            annotate(task, client, store, Prompt("{question}"), batch=leaves, pipeline=Beam("none"))
        with pytest.raises(ConfigError, match=r"10 of the requests are in batches of an earlier run"):
            annotate(task, client, store, Prompt("{question}"), pipeline=Beam("none"))
        server.ready_s = 0.0
        annotate(task, client, store, Prompt("{question}"), batch=leaves, price=Price(1.0, 10.0))
    assert "10 of 10 examples have a rationale; 10 calls now" in capsys.readouterr().out
    assert "LABEL" not in json.dumps([batch.requests for batch in server.batches.values()])
    assert len(server.batches) == 2 and set(server.asked.values()) == {1}


def test_what_cannot_be_annotated_is_refused_before_any_call(task: Task, tmp_path: Path) -> None:
    store = tmp_path / "r.sqlite"
    with pytest.raises(ConfigError, match=r"annotate\.prompt: expected a prompt"):
        annotate(task, OpenAI("fake"), str(store))
    with pytest.raises(ConfigError, match=r"train, validation, test, found 'dev'"):
        annotate(task, OpenAI("fake"), str(store), Prompt("{question}"), splits=("dev",))
    assert not store.exists()
