"""Exemplars of the reasoning prompt tune nothing, and are in no other split; rationales may be lacking."""

import logging

import pytest
from rows import example

from fiat_jax.data import load_examples
from fiat_jax.data.rendering import joined, render
from fiat_jax.errors import DataError
from fiat_jax.reasoning import Prompt

INPUT = "{context} {question}"


def prompt(*exemplars, **settings):
    return Prompt(INPUT, exemplars=tuple({"rationale": "since", **row} for row in exemplars), **settings)


PLACES = ("river", "tower", "bridge", "market", "garden", "school", "harbour", "forest", "castle", "temple")


def rows(*ids):
    return [example(id, question=f"who built the {PLACES[int(id[1:])]} beside {id}?") for id in ids]


def test_an_exemplar_does_not_tune_by_its_id_or_by_its_text(make_task, caplog):
    train = rows("t0", "t1", "t2", "t3")
    nearly = {**train[1], "id": "other", "context": train[1]["context"].upper(), "answer": "x"}
    asked = prompt(train[3], nearly)
    task = make_task(train=train, test=rows("e5", "e6"), prompt=asked)
    with caplog.at_level(logging.INFO, logger="fiat_jax"):
        assert [row["id"] for row in task.rows("train")] == ["t0", "t2"]
    assert "2 examples of train are exemplars and tune nothing: t1, t3" in caplog.text
    assert [row["id"] for row in task.rows("test")] == ["e5", "e6"]


def test_exemplars_are_gone_before_examples_are_held_out(make_task):
    train = rows(*(f"t{n}" for n in range(10)))
    task = make_task(train=train, holdout=4, prompt=prompt(train[0], train[7]))
    tuned, held = ([row["id"] for row in task.rows(split)] for split in ("train", "validation"))
    assert (len(tuned), len(held)) == (4, 4)
    assert not {"t0", "t7"} & {*tuned, *held}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_an_exemplar_that_is_in_another_split_is_a_leak_by_its_id(make_task, split):
    task = make_task(**{"train": rows("t0"), split: rows("e0")}, prompt=prompt({**rows("e5")[0], "id": "e0"}))
    with pytest.raises(DataError, match=f"found example 'e0' of '{split}', which exemplar 'e0' is by its id"):
        list(task.rows(split))


def test_an_exemplar_that_nearly_is_in_another_split_is_a_leak_with_both_ids_and_the_overlap(make_task):
    (test,) = rows("e0")
    near = {**test, "id": "t9", "question": test["question"].replace("?", " exactly?")}
    with pytest.raises(DataError, match=r"example 'e0' of 'test', which exemplar 't9' repeats to \d\d %"):
        list(make_task(test=[test], prompt=prompt(near)).rows("test"))
    strict = prompt(near, alike=1.0)
    assert len(list(make_task(test=[test], prompt=strict).rows("test"))) == 1
    assert DataError.exit_code == 3


def test_a_prompt_that_reads_the_label_is_a_leak_here_too(make_task):
    task = make_task(train=rows("t0"), prompt=Prompt("{answer}"))
    with pytest.raises(DataError, match="found 'answer'"):
        list(task.rows("train"))


def test_an_example_without_a_rationale_is_refused_left_out_or_read_without_one(make_task, caplog):
    splits = {"train": rows("t0", "t1", "t2"), "test": rows("e0")}
    thoughts = {"t0": "so", "t2": "thus", "e0": "hence"}
    with pytest.raises(DataError, match="found none for 't1'"):
        list(render(make_task(thoughts, **splits), "fiat", "train"))

    with caplog.at_level(logging.INFO, logger="fiat_jax"):
        task = make_task(thoughts, **splits, without_rationale="leave_out")
        assert [one.id for one in render(task, "fiat", "train")] == ["t0", "t2"]
        assert len(list(render(task, "instruction", "train"))) == 3
        task = make_task(thoughts, **splits, without_rationale="no_rationale")
        fiat = {one.id: one.input for one in render(task, "fiat", "train")}
    bare = {one.id: one.input for one in render(task, "instruction", "train")}
    assert fiat["t1"] == bare["t1"] and "reasoning: so" in fiat["t0"]
    assert "train: 1 examples without a rationale left out" in caplog.text
    assert "train: 1 examples without a rationale tune without one" in caplog.text


@pytest.mark.parametrize("choice", ["leave_out", "no_rationale"])
def test_outside_the_training_split_every_example_must_have_one(make_task, choice):
    task = make_task({"t0": "so"}, train=rows("t0"), test=rows("e0"), without_rationale=choice)
    with pytest.raises(DataError, match="found none for 'e0'"):
        joined(task, "fiat", "test")


def test_a_split_that_is_left_out_as_a_whole_is_an_error(make_task):
    task = make_task({"other": "so"}, train=rows("t0"), without_rationale="leave_out")
    with pytest.raises(DataError, match="expected rationales of split 'train', found none"):
        joined(task, "fiat", "train")


def test_seqio_gets_the_same_examples(make_task):
    train = rows("t0", "t1", "t2")
    task = make_task({"t0": "so"}, train=train, prompt=prompt(train[2]), without_rationale="leave_out")
    assert load_examples(task, "fiat", "train").ids == ("t0",)
    assert load_examples(task, "plain", "train").ids == ("t0", "t1")
