"""What someone who is new does wrong with a file is read all the same and said, or ends in one sentence."""

import json
import re
from pathlib import Path

import pytest
from rows import as_csv, as_jsonl, sale

from fiat_jax.cli import main
from fiat_jax.data.rendering import render
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template

ROWS = [sale(n) for n in range(30)]
CAFES = [row | {"answer": f"Café no. {n}"} for n, row in enumerate(ROWS)]


def read(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8-sig", "a byte-order mark taken off"),
        ("utf-16", "read as UTF-16, the copies are UTF-8"),
        ("utf-16-le", "read as UTF-16LE, the copies are UTF-8"),
        (
            "cp1252",
            "read as WINDOWS-1252, the copies are UTF-8; it says 'Café', and if that is wrong",
        ),
    ],
)
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_other_encodings_are_read_by_init_and_said(init, encoding, note, name):
    text = as_csv(CAFES) if name == "rows.csv" else as_jsonl(CAFES)
    code, said = init(text.encode(encoding), name=name)
    assert code == 0 and note in said
    assert {row["answer"] for row in read("mine/train.jsonl")} < {row["answer"] for row in CAFES}


@pytest.mark.parametrize(
    ("encoding", "line", "seems"),
    [("utf-16", 1, "UTF-16"), ("utf-16-le", 1, "UTF-16LE"), ("latin-1", 3, "WINDOWS-1252")],
)
def test_other_encodings_are_named_by_every_other_command_with_the_remedy(
    tmp_path, capsys, encoding, line, seems
):
    path = tmp_path / "train.jsonl"
    path.write_bytes(as_jsonl([{"id": n, **row} for n, row in enumerate(ROWS[:2] + CAFES)]).encode(encoding))
    words = ["Task.name='t'", "Task.vocabulary='byte'", f"Jsonl.train='{path}'", "Task.source=@Jsonl()"]
    words += ["Template.input='{question} {context}'"]
    assert main(["tasks", *(f"--gin.{word}" for word in words)]) == 3
    said = capsys.readouterr().err
    assert f"{path}:{line}: expected UTF-8, found what seems to be {seems}; convert it: iconv" in said
    assert f"iconv -f {seems} -t UTF-8 {path} > {tmp_path}/train.utf8.jsonl" in said


def test_a_table_where_json_lines_are_expected_leads_to_init(tmp_path, capsys):
    (tmp_path / "train.csv").write_text(as_csv(ROWS))
    words = ["Task.name='t'", "Task.vocabulary='byte'", "Task.source=@Jsonl()"]
    words.append(f"Jsonl.train='{tmp_path}/train.csv'")
    assert main(["tasks", *(f"--gin.{word}" for word in words)]) == 3
    assert f"`fiat init --data {tmp_path}/train.csv` makes JSON lines of it" in capsys.readouterr().err


def test_rows_without_an_answer_are_set_aside_and_empty_ones_counted(init):
    rows = [row | {"answer": "" if n < 4 else row["answer"]} for n, row in enumerate(map(sale, range(34)))]
    code, said = init(as_csv(rows) + ',,\n\n"","",""\n')
    assert code == 0 and "rows.csv: 3 empty rows left out" in said
    assert "answer is empty in 4 rows, which go to unanswered.jsonl" in said
    assert len(read("mine/unanswered.jsonl")) == 4 and len(read("mine/train.jsonl")) == 24


def test_tabs_line_breaks_and_a_row_of_megabytes_are_counted_and_kept(init):
    rows = [dict(row) for row in ROWS]
    rows[0]["context"] += "\n\tand so on"
    rows[1]["context"] += " word" * 500_000
    code, said = init(as_csv(rows))
    assert code == 0
    assert "context: line breaks or tabs in 1 rows, which T5 reads as spaces" in said
    assert re.search(r"1 rows of over 1,000,000 characters, the longest 2,500,\d+: kept, and cut to", said)
    contexts = {row["context"] for name in ("train", "test") for row in read(f"mine/{name}.jsonl")}
    assert contexts == {row["context"] for row in rows}
    source = Jsonl(train="mine/train.jsonl", test="mine/test.jsonl")
    template = Template(input="{question} {context}", cut="context")
    task = Task("t", source, template, "byte", inputs_length=256)
    shown = [one for split in task.splits() for one in render(task, "plain", split)]
    assert sum(bool(one.cut) for one in shown) == 1 and max(len(one.input) for one in shown) < 256


@pytest.mark.parametrize(
    ("content", "name", "found"),
    [
        (b"", "rows.csv", r"rows.csv:1: expected a name of its own for each of two or more columns"),
        (b"q,a\n", "rows.csv", r"rows.csv: expected rows, found none"),
        (b"q,q\n1,2\n", "rows.csv", r"rows.csv:1: expected a name of its own"),
        (b"q,a\nx,y\na, b,c\n", "rows.csv", r"rows.csv:3: expected 2 columns, .* found 3; .* commas"),
        (b"q\ta\nx\ty\tz\n", "rows.tsv", r"rows.tsv:2: expected 2 columns, .* text with tabs"),
        (b'q,a\nx,y\n"x,y\nz,u\n', "rows.csv", r"rows.csv:3: expected a row, found quotes that do not"),
        (b'{"q": 1}\n{"q": \n', "rows.jsonl", r"rows.jsonl:2: expected a JSON object, found broken JSON"),
        (b"[1]", "rows.json", r"rows.json: expected a JSON list of objects, found int as its item 0"),
        (b"x", "rows.xlsx", r"expected a .csv, .tsv, .jsonl or .json file, found '.xlsx'; save"),
        ("q,a\nвы,я\n".encode("cp1251"), "rows.csv", r"another encoding; convert it: iconv -f ENC"),
        (b'{"a": 1}\n', "rows.jsonl", r"expected an answer and an input, found a"),
        (b"q,answer\nx,\ny,\n", "rows.csv", r"expected answers in 'answer', found none"),
        (b"id,answer\n1,x\n2,y\n", "rows.csv", r"expected fields for the input beside 'answer'"),
    ],
)
def test_a_broken_file_ends_in_one_sentence_and_leaves_nothing(init, content, name, found):
    code, said = init(content, name=name)
    assert code == 3 and re.search(found, said), said
    assert said.count("\n") == 1 and said.startswith("fiat init: ") and not Path("mine").exists()


def test_wrong_names_of_fields_and_files_are_answered_with_what_there_is(init, capsys):
    code, said = init(as_csv(ROWS), "--answer_field=anwser")
    assert code == 3 and "expected a field 'anwser' in the rows; did you mean 'answer'?" in said
    assert main(["init"]) == 2 and "give it: --data rows.csv" in capsys.readouterr().err
    assert main(["init", "--data=absent.csv"]) == 3 and "found none" in capsys.readouterr().err
    code, said = init(as_csv(ROWS), "--kind=guess")
    assert code == 2 and "extractive" in said


@pytest.mark.parametrize(
    ("setting", "code", "found"),
    [
        (
            "Template.input='{quest} {context}'",
            3,
            r"train.jsonl:1: expected a field 'quest', found 'id'",
        ),
        ("Jsonl.test='tset.jsonl'", 3, r"tset.jsonl: expected a JSON-lines file, found none"),
        ("tasks.split='dev'", 2, r"expected a split of .*'train', 'validation', 'test'.*, found 'dev'"),
        ("Task.answer_feild='answer'", 2, r"did you mean 'answer_field'"),
    ],
)
def test_a_mistake_in_the_gin_file_of_a_starting_folder_is_named(
    init, monkeypatch, capsys, setting, code, found
):
    assert init(as_csv(ROWS))[0] == 0
    monkeypatch.chdir("mine")
    words = ["tasks", "--gin_file=mine.gin", "--gin.Task.vocabulary=byte", f"--gin.{setting}"]
    assert main(words) == code
    said = capsys.readouterr().err
    assert re.search(found, said) and said.count("\n") == 1, said


def test_quotation_marks_in_a_table_without_quotes_are_text(init):
    rows = "".join(f'the "long" one {n}\t"so\tit is {n}\n' for n in range(20))
    code, said = init(f"question\tcontext\tanswer\n{rows}", name="rows.tsv")
    assert code == 0, said
    assert {row["context"] for row in read("mine/train.jsonl")} == {'"so'}
