"""A run asked from Python: what it answers, of which rows, and where rationales come from."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fake_openai import BROKEN, FakeOpenAI
from study.conftest import example

import fiat_jax
from fiat_jax.cli import main
from fiat_jax.decoding.search import BeamSearch, Greedy, Sample
from fiat_jax.decoding.stream import Answer
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning import CallError, OpenAI, Prompt, open_rationales
from fiat_jax.study.answering import seed_of

PROMPT = Prompt("{question}", "Think.")


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


@pytest.fixture(scope="module")
def opened(trained):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        with fiat_jax.open_predictor("run", batch_size=3) as predictor:
            yield predictor


@pytest.fixture
def predictor(opened, folder):
    return opened


def unlabelled(n, **fields):
    row = example("test", n) | fields
    del row["answer"]
    return row


def test_a_list_is_answered_in_order_as_eval_answers_the_split(predictor):
    rows = [unlabelled(n, extra=[n]) for n in range(7)]
    answered = predictor(rows)
    assert [{name: row[name] for name in rows[0]} for row in answered] == rows
    assert predictor(rows[::-1]) == answered[::-1]
    assert predictor([]) == []
    assert all(row["rationale"] == f"it is stone {n}" for n, row in enumerate(answered))
    assert all(isinstance(row["score"], float) and row["tokens"] > 0 for row in answered)
    assert main(["eval", "--run_dir", "run"]) == 0
    scored = map(json.loads, Path("run/predictions/test.jsonl").read_text().splitlines())
    assert {row["id"]: row["prediction"] for row in scored} == {
        row["id"]: row["prediction"] for row in answered
    }


def test_a_row_may_bring_its_rationale_and_needs_no_id_then(predictor):
    row = {"question": "what lies at 3?", "context": "at 3 lies a stone.", "rationale": " it is there\n"}
    first, other, again = predictor([row, row | {"question": "what?"}, row])
    assert first["rationale"] == "it is there" and first == again
    assert first["id"] != other["id"] and len(first["id"]) == 16


def test_the_rationale_is_read_by_the_model(predictor):
    row = predictor.check(unlabelled(1), "row 0")
    texts = [
        bytes((predictor.request(row, why)[0].inputs[:-1] - 3).tolist()).decode()
        for why in ("it is here", "not at all")
    ]
    assert [text.split(" q: ")[0] for text in texts] == ["Answer. r: it is here", "Answer. r: not at all"]


def test_a_passage_that_is_shortened_is_marked(predictor):
    short, long = predictor([unlabelled(1), unlabelled(2, context="sand " * 100)])
    assert "cut" not in short and long["cut"].keys() == {"context"}
    assert "cut" not in predictor([short | {"cut": True}])[0]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"id": "test-1", "context": "c"}, "row 1: expected a field 'question', found 'id', 'context'"),
        ({"id": "test-1", "question": ["a"], "context": "c"}, "row 1: expected text in field 'question'"),
        ({"id": None, "question": "q", "context": "c"}, "row 1: expected text in field 'id', found None"),
        ({"id": "new", "question": "q", "context": "c"}, "row 1: expected a rationale for 'new' in rat"),
        ({"question": "q", "context": "c", "rationale": 3}, "row 1: expected text in field 'rationale'"),
        ({"id": "test-1", "question": "q" * 200, "context": "c"}, "example test-1: expected the input"),
    ],
)
def test_a_wrong_row_is_named_before_any_is_answered(predictor, row, sentence):
    with pytest.raises(DataError, match=sentence):
        predictor([unlabelled(1), row])


def test_seeds_follow_from_the_id_and_the_searchs_seed_and_not_from_the_place(predictor):
    row = predictor.check(unlabelled(1), "row 0")
    assert predictor.request(row, "")[0].seed == seed_of("test-1", Greedy())
    assert predictor.request(row, "", seed=5, adapter=2)[0]._replace(inputs=None) == (None, 5, None, 2)
    seeds = {seed_of(id, Sample(seed=seed)) for id in ("a", "b") for seed in (0, 1)}
    assert len(seeds) == 4 and all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of("a", Sample(seed=7, top_k=2)) == seed_of("a", Sample(seed=7)) == 1071117518


def test_of_several_answers_all_are_given_the_best_first(folder):
    written = Answer((np.array([100, 101], np.int32), np.array([102], np.int32)), (-0.123456, -2.0))
    with fiat_jax.open_predictor("run", search=BeamSearch(n_best=2)) as predictor:
        row = predictor.answer({"id": "a"}, "why", written, cut={"context": 0.5})
    assert row == {
        "id": "a",
        "prediction": "ab",
        "score": -0.1235,
        "tokens": 2,
        "predictions": ["ab", "c"],
        "scores": [-0.1235, -2.0],
        "rationale": "why",
        "cut": {"context": 0.5},
    }


def test_the_large_model_is_asked_once_for_each_request_by_any_number_of_threads(folder):
    rows = [unlabelled(n % 4, id=f"new-{n}") for n in range(16)]
    with FakeOpenAI() as server:
        client = OpenAI("fake", base_url=server.url)
        settings = {"client": client, "prompt": PROMPT, "rationales": "asked.sqlite"}
        with fiat_jax.open_predictor("run", **settings) as predictor:
            checked = [predictor.check(row, "row") for row in rows]
            with ThreadPoolExecutor(8) as threads:
                rationales = list(threads.map(predictor.rationale, checked))
            assert [row["rationale"] for row in predictor(rows)] == rationales
        assert set(server.asked.values()) == {1} and len(server.asked) == 4
        with fiat_jax.open_predictor("run", **settings) as predictor:
            assert predictor(rows)[5]["rationale"] == "thoughts on what lies at 1?"
        assert server.asked.total() == 4
    assert rationales == [f"thoughts on what lies at {n % 4}?" for n in range(16)]
    assert dict(open_rationales("asked.sqlite")) == {
        row["id"]: rationale for row, rationale in zip(rows, rationales, strict=True)
    }


def test_a_row_that_the_large_model_fails_on_is_named_and_can_be_asked_again(folder):
    row = unlabelled(1, id="new")
    with FakeOpenAI(lambda text, attempt: BROKEN if attempt == 0 else None) as server:
        client = OpenAI("fake", base_url=server.url, max_retries=0)
        settings = {"client": client, "prompt": PROMPT, "rationales": "failed.sqlite"}
        with fiat_jax.open_predictor("run", **settings) as predictor:
            with pytest.raises(CallError, match="example 'new' has no rationale: gave up after 1 attempts"):
                predictor([row])
            assert predictor([row])[0]["rationale"] == "thoughts on what lies at 1?"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"client": OpenAI("fake"), "prompt": PROMPT}, "expected a store to keep the client's answers in"),
        ({"client": OpenAI("fake"), "rationales": "a"}, "expected a prompt for the large model"),
        ({"concurrency": 0}, "concurrency: expected 1 or more, found 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(folder, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        fiat_jax.open_predictor("run", **settings)


def test_what_is_no_run_is_refused(folder):
    with pytest.raises(ConfigError, match=r"nowhere/config.gin is not there"):
        fiat_jax.open_predictor("nowhere")
    Path("begun").mkdir(exist_ok=True)
    Path("begun/config.gin").write_text(Path("run/config.gin").read_text())
    with pytest.raises(ConfigError, match="begun: expected the folder of a trained run"):
        fiat_jax.open_predictor("begun")
