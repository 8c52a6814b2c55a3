"""The large model asked only where a run is unsure: how that is decided, and what predict then does."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_openai import FakeOpenAI
from hypothesis import given
from hypothesis import strategies as st
from study.conftest import write_jsonl

import fiat_jax
from fiat_jax.cli import main
from fiat_jax.decoding.search import BeamSearch
from fiat_jax.decoding.stream import Answer
from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import OpenAI, Prompt
from fiat_jax.study.cascading import Cascade, choose, sureness, trade_off

MIX = ["--gin.predict.rationale_mix=@RationaleMix()", "--gin.RationaleMix.without=1.0"]
CASCADE = "--gin.predict.cascade=@Cascade()"
ROWS = [
    {"id": f"new-{n}", "question": f"what lies at {n}?", "context": "sand " * (n * 7 % 11)} for n in range(40)
]


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    write_jsonl(trained / "new.jsonl", ROWS)
    write_jsonl(trained / "why.jsonl", [{"id": row["id"], "rationale": "it is there"} for row in ROWS])
    for path in [*trained.glob("*out.jsonl*"), *trained.glob("run/cascade*")]:
        path.unlink()
    return trained


def predict(*words, output="out.jsonl", batch_size=1):
    settings = {"input": "new.jsonl", "output": output, "rationales": "why.jsonl", "batch_size": batch_size}
    flags = [f"--gin.predict.{name}={value}" for name, value in settings.items()]
    return main(["predict", "--run_dir", "run", *flags, *words])


def rows(output="out.jsonl"):
    return [json.loads(line) for line in Path(output).read_text().splitlines()]


def sure(row):
    return row["score"] / (row["tokens"] + 1)


def middle(output):
    """A threshold between the rows of an output, and far from all."""
    values = sorted(sure(row) for row in rows(output))
    gaps = np.diff(values)
    at = len(gaps) // 4 + int(np.argmax(gaps[len(gaps) // 4 : -len(gaps) // 4]))
    return (values[at] + values[at + 1]) / 2


scored = st.lists(
    st.tuples(st.integers(-5, 0), st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=20
)


@given(scored)
def test_a_point_of_the_curve_is_what_its_threshold_gives(examples):
    surely, without, asked = (list(one) for one in zip(*examples, strict=True))
    points = trade_off(surely, without, asked)
    assert points[0].share == 0 and points[-1].share == 1
    assert [point.share for point in points] == sorted({point.share for point in points})
    for point in points:
        below = np.array(surely) < point.threshold
        assert point.share == pytest.approx(below.mean())
        assert point.quality == pytest.approx(np.where(below, asked, without).mean())


def test_a_threshold_is_chosen_for_a_share_or_for_a_quality():
    points = trade_off([-4, -3, -2, -1], [0, 0, 100, 100], [100, 100, 100, 0])
    assert [(point.share, point.quality) for point in points] == [
        (0, 50), (0.25, 75), (0.5, 100), (0.75, 100), (1, 75),
    ]  # fmt: skip
    assert choose(points, share=0.6).share == 0.5
    assert choose(points, share=0).share == 0
    assert choose(points, quality=60).share == 0.25
    with pytest.raises(ConfigError, match=r"at most the 100\.0 that is reached when 50%"):
        choose(points, quality=101)
    for wanted in ({}, {"share": 0.5, "quality": 50}):
        with pytest.raises(ConfigError, match="expected either a share of calls or a quality"):
            choose(points, **wanted)
    with pytest.raises(ConfigError, match="share from 0 to 1, found 2"):
        choose(points, share=2)


def test_an_answer_is_as_sure_as_its_tokens_and_its_end_are_on_average():
    assert sureness(Answer((np.array([5, 6, 7]),), (-2.0,))) == -0.5


def test_unsure_rows_are_answered_with_a_rationale_and_the_others_without(folder):
    assert predict(*MIX, output="bare.out.jsonl") == 0
    assert predict(output="full.out.jsonl") == 0
    threshold = middle("bare.out.jsonl")
    assert predict(CASCADE, f"--gin.Cascade.threshold={threshold}") == 0
    found = rows()
    assert {row["asked"] for row in found} == {True, False}
    for row, bare, full in zip(found, rows("bare.out.jsonl"), rows("full.out.jsonl"), strict=True):
        assert row["asked"] == (sure(bare) < threshold)
        assert row["prediction"] == (full if row["asked"] else bare)["prediction"]
        assert row["rationale"] == ("it is there" if row["asked"] else "")


def test_the_large_model_is_asked_about_unsure_rows_alone_and_once(folder):
    assert predict(*MIX, output="bare.out.jsonl") == 0
    threshold = middle("bare.out.jsonl")
    Path("asked.sqlite").unlink(missing_ok=True)
    with FakeOpenAI() as server:
        client = OpenAI("fake", base_url=server.url)
        settings = {"client": client, "prompt": Prompt("{question}", "Think."), "rationales": "asked.sqlite"}
        with fiat_jax.open_predictor("run", cascade=Cascade(threshold), **settings) as predictor:
            answered = predictor(ROWS)
    unsure = {row["question"] for row in rows("bare.out.jsonl") if sure(row) < threshold}
    assert {row["question"] for row in answered if row["asked"]} == unsure
    assert set(server.asked) == unsure and set(server.asked.values()) == {1}


def test_the_command_chooses_a_threshold_that_predict_and_the_curve_agree_on(folder, capsys):
    assert main(["cascade", "--run_dir", "run", "--gin.cascade.share=0.5"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "validation, 6 examples"
    chosen = json.loads(Path("run/cascade.json").read_text())
    lines = [
        json.loads(one) for one in Path("run/predictions/validation.cascade.jsonl").read_text().splitlines()
    ]
    assert chosen["share"] == np.mean([row["sureness"] < chosen["threshold"] for row in lines]) <= 0.5
    assert chosen["n"] == 6 and chosen["curve"][-1]["share"] == 1
    assert "<svg" in Path("run/cascade.svg").read_text()
    validation = [json.loads(line) for line in Path("validation.jsonl").read_text().splitlines()]
    write_jsonl(folder / "new.jsonl", [{**row, "answer": "?"} for row in validation])
    assert predict(CASCADE, "--gin.predict.rationales=rationales.jsonl", batch_size=32) == 0
    asked = {row["id"]: row["asked"] for row in rows()}
    assert asked == {row["id"]: row["sureness"] < chosen["threshold"] for row in lines}
    by_id = {row["id"]: row for row in lines}
    for row in rows():
        line = by_id[row["id"]]
        assert row["prediction"] == (line["prediction"] if row["asked"] else line["without"])


def test_a_file_that_was_stopped_goes_on_to_the_same_answers(folder):
    assert predict(*MIX, output="bare.out.jsonl") == 0
    words = (CASCADE, f"--gin.Cascade.threshold={middle('bare.out.jsonl')}")
    assert predict(*words) == 0
    whole = Path("out.jsonl").read_bytes()
    Path("out.jsonl").write_bytes(whole[: len(whole) * 2 // 3])
    assert predict(*words) == 0
    assert Path("out.jsonl").read_bytes() == whole


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([CASCADE], "run/cascade.json: expected a threshold, found no file; choose one with `fiat cascade`"),
        ([CASCADE, "--gin.Cascade.threshold=-1", *MIX], "no rationale_mix, as the threshold was chosen so"),
        (
            [CASCADE, "--gin.Cascade.threshold=-1", "--gin.Experiment.variant=instruction"],
            "cascade: expected the variant 'fiat', which reads rationales, found 'instruction'",
        ),
    ],
)
def test_a_cascade_that_does_not_go_with_the_rest_is_refused(folder, capsys, words, sentence):
    assert predict(*words) == 2
    assert sentence in capsys.readouterr().err


def test_a_threshold_for_another_search_or_checkpoint_is_refused(folder):
    with pytest.raises(ConfigError, match="expected a Greedy search"):
        fiat_jax.open_predictor("run", cascade=Cascade(-1.0), search=BeamSearch())
    Path("run/cascade.json").write_text('{"threshold": -1.0, "step": 1}')
    with pytest.raises(ConfigError, match="for the checkpoint of step 4, found one for step 1"):
        fiat_jax.open_predictor("run", cascade=Cascade())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--gin.cascade.share=0.5", "--gin.cascade.split=holdout"],
            "a split that the run has not learned from, validation or test, found",
        ),
        ([], "expected either a share of calls or a quality"),
        (
            ["--gin.cascade.share=0.5", "--gin.Experiment.variant=plain"],
            "cascade: expected the variant 'fiat'",
        ),
    ],
)
def test_what_cannot_be_chosen_is_refused(folder, capsys, words, sentence):
    assert main(["cascade", "--run_dir", "run", *words]) == 2
    assert sentence in capsys.readouterr().err
