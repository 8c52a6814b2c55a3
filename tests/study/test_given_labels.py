"""Rationales written from the label: made where asked for alone, tuned on, and never evaluated."""

import json
import re
from pathlib import Path

import pytest
from fake_openai import FakeOpenAI, completion

from fiat_jax.checkpoints import CheckpointStore
from fiat_jax.cli import main
from fiat_jax.config import parse
from fiat_jax.data.rendering import render
from fiat_jax.errors import DataError
from fiat_jax.study.engineering.likelihoods import LikelihoodScorer

FEW = ("--gin.Tuning.steps=2", "--gin.Tuning.save_every=1", "--gin.Tuning.eval_every=1")
STAR = ("--gin.Task.name=star", "--gin.Task.rationales=star.jsonl")
FIRST = "found that of 'train-0' in star.jsonl written from it"


class Stones(FakeOpenAI):
    """Knows no stone, but repeats an answer that it is told; about 'train-2' it will not be told."""

    def answer_to(self, path, text):
        if "the right answer is '" not in text:
            return completion("I wonder. The answer is: sand")
        label = text.split("the right answer is '")[1].split("'")[0]
        return completion(f"It lies there. The answer is: {'sand' if label == 'stone 2' else label}")


def fiat(command, *words):
    return main([command, *words])


def refine(server, *words):
    asked = ["OpenAI.model=m", f"OpenAI.base_url={server.url}", "Prompt.input={question}"]
    words = [
        f"--gin.{word}" for word in (*words, *asked, "refine.client=@OpenAI()", "refine.prompt=@Prompt()")
    ]
    return fiat("refine", "--gin_file", "world.gin", "--gin.refine.store=asked.sqlite", *words)


def lines_of(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def told(bodies):
    return [body["messages"][-1]["content"] for body in bodies if "stone" in json.dumps(body)]


def error(capsys):
    return capsys.readouterr().err.splitlines()[-1]


@pytest.fixture
def star(world, capsys):
    """star.jsonl: of the training rationales half are right, the others but one written from the label.

    Gives the server that was asked, and what `fiat refine` said.
    """
    rows = lines_of("rationales.jsonl")
    for number, row in enumerate(rows):
        if row["id"].startswith("train") and number % 2:
            row["rationale"] += f". The answer is: stone {number}"
    Path("rationales.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Stones() as server:
        assert refine(server, "refine.output=star.jsonl", "refine.rationalise=@Rationalise()") == 0
    return server, capsys.readouterr().out


def test_only_training_examples_that_are_wrong_are_told_and_kept_if_they_come_out_right(star):
    server, said = star
    asked = dict(
        re.findall(r"what lies at (\d+)\?\n\nHint: the right answer is 'stone (\d+)'", text)[0]
        for text in told(server.bodies)
    )
    assert len(server.bodies) == 9 and asked == {str(n): str(n) for n in range(0, 18, 2)}
    rows = {row["id"]: row for row in lines_of("star.jsonl")}
    assert rows["train-0"]["rationale"] == "It lies there. The answer is: stone 0"
    assert rows["train-2"]["rationale"] == "it is stone 2", "the new one was no better"
    marked = {id for id, row in rows.items() if row.get("given_label")}
    assert marked == {f"train-{n}" for n in range(0, 18, 2) if n != 2}
    assert "8 of 9 training examples whose rationale is not right have one" in said


def test_without_the_option_no_request_holds_a_label(world):
    with Stones() as server:
        steps = ["refine.vote=@Vote()", "Vote.samples=2", "refine.shorten=@Shorten()", "Shorten.tokens=10"]
        assert refine(server, "refine.output=new.jsonl", *steps, "refine.keep=@KeepRight()") == 0
    assert len(server.bodies) == 18 * 2 + 18 and told(server.bodies) == []
    assert not any("given_label" in row for row in lines_of("new.jsonl"))


def test_the_report_says_how_many_there_are(star, capsys):
    assert fiat("quality", "--gin_file", "world.gin", *STAR, "--gin.quality.output=report") == 0
    said = "8 of them were written from the label, with which they then agree"
    assert said in capsys.readouterr().out and said in Path("report/quality.html").read_text()
    assert json.loads(Path("report/quality.json").read_text())["given_label"] == 8
    assert fiat("quality", "--gin_file", "world.gin") == 0
    assert "written from the label" not in capsys.readouterr().out


def test_only_what_is_still_wrong_is_asked_about_again_and_nothing_where_all_is_right(star):
    again = [
        "refine.output=star.jsonl",
        "refine.rationales='star.jsonl'",
        "refine.rationalise=@Rationalise()",
    ]
    with Stones() as server:
        Path("asked.sqlite").unlink()
        assert refine(server, *again) == 0
        assert len(server.bodies) == 1 and "what lies at 2?" in json.dumps(server.bodies)
        assert sum("given_label" in row for row in lines_of("star.jsonl")) == 8
        for _ in range(2):  # whatever has an answer is right, and then all are
            assert refine(server, *again, "Rationalise.right=@KeepRight()", "KeepRight.least=0.0") == 0
            assert sum("given_label" in row for row in lines_of("star.jsonl")) == 9
        assert len(server.bodies) == 1


def test_marks_outlive_further_refining_but_not_a_vote(star):
    with Stones() as server:
        again = ["refine.output=again.jsonl", "refine.rationales='star.jsonl'", "refine.keep=@KeepRight()"]
        assert refine(server, *again, "refine.shorten=@Shorten()", "Shorten.tokens=30") == 0
        rows = {row["id"]: row for row in lines_of("again.jsonl")}
        assert rows["train-0"]["given_label"] is True and "given_label" not in rows["train-1"]
        anew = ["refine.output=anew.jsonl", "refine.rationales='star.jsonl'", "refine.vote=@Vote()"]
        assert refine(server, *anew, "Vote.samples=2") == 0
    assert not any("given_label" in row for row in lines_of("anew.jsonl"))


def test_a_run_tunes_on_them_unvalidated_and_refuses_to_be_evaluated_on_anything(star, capsys, caplog):
    assert fiat("train", "--gin_file", "world.gin", "--run_dir", "run", *FEW, *STAR) == 0
    assert "nothing is validated, and eval will refuse" in caplog.text
    metrics = lines_of("run/metrics.jsonl")
    assert {row["split"] for row in metrics} == {"train"}
    capsys.readouterr()
    for split in ("test", "validation", "train"):
        assert fiat("eval", "--run_dir", "run", f"--gin.eval.split={split}") == 3
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and FIRST in said and "is not evaluated" in said

    # Other rationales in their place are no exception: the run itself remembers.
    Path("star.jsonl").write_text(Path("rationales.jsonl").read_text())
    assert fiat("eval", "--run_dir", "run") == 3
    said = error(capsys)
    assert "run: expected rationales written without the label" in said and FIRST in said
    assert not Path("run/predictions").exists()


def test_a_run_without_them_is_evaluated_but_not_with_such_rationales(star, capsys):
    assert fiat("train", "--gin_file", "world.gin", "--run_dir", "run", *FEW) == 0
    store = CheckpointStore(Path("run/checkpoints").absolute())
    assert "given_label" not in store.note(store.latest())
    store.close()
    assert {row["split"] for row in lines_of("run/metrics.jsonl")} == {"train", "validation"}
    assert fiat("eval", "--run_dir", "run") == 0
    assert fiat("eval", "--run_dir", "run", *STAR) == 3
    assert FIRST in error(capsys)


def test_rows_that_are_answered_take_no_such_rationale(star, trained, capsys):
    row = {"id": "train-0", "question": "what lies at 0?", "context": "sand"}
    words = ["--gin.predict.input=new.jsonl", "--gin.predict.output=out.jsonl"]
    run = str(trained / "run")
    Path("new.jsonl").write_text(json.dumps(row))
    assert fiat("predict", "--run_dir", run, *words, "--gin.predict.rationales=star.jsonl") == 3
    assert FIRST in error(capsys)
    Path("new.jsonl").write_text(json.dumps(row | {"rationale": "told", "given_label": True}))
    assert fiat("predict", "--run_dir", run, *words) == 3
    assert "new.jsonl:1: expected a rationale written without the label, found its own" in error(capsys)
    assert not Path("out.jsonl").exists()


def test_no_split_but_train_is_rendered_and_no_instruction_is_scored_with_them(star):
    experiment = parse("Experiment", ["world.gin"], ["Task.rationales = 'star.jsonl'"]).run()
    task = experiment.task
    assert len(list(render(task, "fiat", "train"))) == 18
    assert len(list(render(task, "instruction", "test"))) == 7
    with pytest.raises(DataError, match=FIRST):
        list(render(task, "fiat", "test"))
    with pytest.raises(DataError, match=FIRST):
        LikelihoodScorer(experiment, 4, list(task.rows("train")))


def test_labels_are_told_of_the_training_split_alone(world, capsys):
    with Stones() as server:
        words = ["refine.output=x.jsonl", "refine.rationalise=@Rationalise()", "refine.splits=('test',)"]
        assert refine(server, *words) == 2
    assert "refine.rationalise: expected 'train' among the splits" in error(capsys)
    assert server.bodies == []


def test_distillation_of_them_is_evaluated_since_it_reads_none(star):
    words = [
        "Experiment.variant=distillation",
        "Task.targets_length=64",
        "Task.name=told",
        "Task.rationales=star.jsonl",
    ]
    words = [f"--gin.{word}" for word in words]
    assert fiat("train", "--gin_file", "world.gin", "--run_dir", "distilled", *FEW, *words) == 0
    store = CheckpointStore(Path("distilled/checkpoints").absolute())
    assert "given_label" not in store.note(store.latest())
    store.close()
    assert {row["split"] for row in lines_of("distilled/metrics.jsonl")} == {"train", "validation"}
    assert fiat("eval", "--run_dir", "distilled") == 0
    experiment = parse("Experiment", ["distilled/config.gin"]).run()
    with pytest.raises(DataError, match=FIRST):
        list(render(experiment.task, "explanation", "test"))


def test_no_threshold_is_chosen_with_them(star, capsys):
    assert fiat("train", "--gin_file", "world.gin", "--run_dir", "run", *FEW, *STAR) == 0
    assert fiat("cascade", "--run_dir", "run", "--gin.cascade.share=0.5") == 3
    assert FIRST in error(capsys)
