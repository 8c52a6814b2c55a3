"""Every recipe of a task builds, and reads and asks what its golden file says.

FIAT_GOLDENS=write rewrites the golden files; read what has changed before it is kept.
"""

import os
from pathlib import Path

import pytest
from recipes import RECIPES, link_data, small

from fiat_jax import load_task
from fiat_jax.data.rendering import render
from fiat_jax.errors import ConfigError, DataError

GOLDENS = Path(__file__).parents[1] / "golden" / "tasks"
WITHOUT_PROMPT = {"afriqa", "cot_table"}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    link_data(tmp_path)
    monkeypatch.chdir(tmp_path)


def recipe(name, *bindings):
    return load_task(f"recipes/{name}.gin", *small(name, "Task.inputs_length=4096", *bindings))


def shown(task):
    """The first example of each language and split, as it is read, written and asked about."""
    lines = []
    readings = ["instruction", *["explanation"] * bool(task.rationale_field)]
    for split in task.splits():
        for language in task.languages or ("",):
            for reading in readings if split == "train" else readings[:1]:
                one = next(render(task, reading, split, (language,) if language else ()))
                lines += [
                    f"{split} {one.id} {reading}",
                    f"  reads: {one.input}",
                    f"  writes: {one.target!r}",
                ]
            row = next(task.rows(split, (language,) if language else ()))
            lines.append(f"  answers: {task.answers(row)}")
            if task.prompt:
                (request,) = task.prompt.requests([row], task.prompt.worked(task.labels()), split)
                lines.append(f"  is asked: {request.messages[-1]['content']!r}")
                assert all(message["content"] for message in request.messages)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_reads_and_asks_what_it_did(name):
    task = recipe(name)
    assert (task.prompt is None) == (name in WITHOUT_PROMPT)
    golden = GOLDENS / f"{name}.txt"
    found = shown(task)
    if os.environ.get("FIAT_GOLDENS") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_whose_files_are_absent_says_where_they_are_had(name, tmp_path):
    (tmp_path / "data").unlink()
    task = load_task(f"recipes/{name}.gin", "Task.vocabulary=byte")
    remedy = f"download it from {task.source.address}," if task.source.address else "check the path"
    with pytest.raises(DataError) as caught:
        list(task.rows(task.splits()[0]))
    assert str(caught.value).startswith("data/") and remedy in str(caught.value)


def test_ids_that_files_do_not_have_are_of_what_rows_hold_wherever_they_stand(tmp_path):
    task = recipe("afriqa_gold")
    ids = [row["id"] for split in ("train", "validation") for row in task.rows(split)]
    assert len(set(ids)) == 6 and all(id.startswith(("hau-", "zul-")) for id in ids)
    file = Path(task.source.train.replace("{language}", "hau"))
    (tmp_path / "hau.json").write_text("\n".join(reversed(file.read_text().splitlines())))
    turned = recipe("afriqa_gold", "Task.languages=('hau',)", f"Jsonl.train={tmp_path}/{{language}}.json")
    assert [row["id"] for row in turned.rows("train")] == ids[1::-1]


def test_rows_of_their_own_rationales_go_with_no_file_of_others():
    with pytest.raises(ConfigError, match=r"expected None beside Task\.rationales = 'r.jsonl', found"):
        recipe("gsm8k", "Task.rationales=r.jsonl")
    with pytest.raises(ConfigError, match=r"expected no label in the input, found \{explanation\}"):
        recipe("gsm8k", "Template.input='{question} {explanation}'")
    assert "explanation" in recipe("gsm8k").labels()


def test_a_row_without_a_rationale_of_its_own_is_counted_or_refused(tmp_path):
    table = Path("data/cot_table/train.tsv").read_text() + "How many?\t2\t\n"
    (tmp_path / "more.tsv").write_text(table)
    task = recipe("cot_table", f"Table.train={tmp_path}/more.tsv", "Task.holdout=0")
    with pytest.raises(DataError, match="field 'explanation': expected a rationale for each of the 4 exam"):
        list(render(task, "fiat", "train"))
    few = recipe(
        "cot_table",
        f"Table.train={tmp_path}/more.tsv",
        "Task.holdout=0",
        "Task.without_rationale=leave_out",
    )
    assert len(list(render(few, "fiat", "train"))) == 3
