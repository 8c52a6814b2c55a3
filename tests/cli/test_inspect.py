"""`fiat inspect` from the command line."""

import pytest
from rows import example, write_jsonl

from fiat_jax.cli import main


@pytest.fixture
def gin_file(tmp_path):
    rows = [example(f"t{n}", context=f"the book of number {n * 7919}") for n in range(6)]
    write_jsonl(tmp_path / "train.jsonl", rows)
    write_jsonl(tmp_path / "test.jsonl", [rows[2] | {"id": "e0"}, example("e1", context="of nothing else")])
    path = tmp_path / "books.gin"
    path.write_text(
        f"Task.name = 'books'\nTask.vocabulary = 'byte'\nTask.source = @Jsonl()\n"
        f"Jsonl.train = '{tmp_path}/train.jsonl'\nJsonl.test = '{tmp_path}/test.jsonl'\n"
    )
    return str(path)


def test_a_leak_is_a_warning_and_under_strict_the_exit_code_of_data(gin_file, capsys):
    assert main(["inspect", "--gin_file", gin_file]) == 0
    assert "! LEAK: examples of test that stand in train too: 1 of 2 (1 exactly" in capsys.readouterr().out
    assert main(["inspect", "--gin_file", gin_file, "--strict"]) == 3
    assert "fiat inspect: LEAK: examples of test" in capsys.readouterr().err


def test_the_page_is_written_where_the_flag_says(gin_file, tmp_path, capsys):
    page = tmp_path / "new" / "page.html"
    assert main(["inspect", "--gin_file", gin_file, "--output", str(page), "--gin.inspect.examples=1"]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "t0 (the first)" in capsys.readouterr().out


def test_an_unknown_variant_is_a_usage_error(gin_file, capsys):
    assert main(["inspect", "--gin_file", gin_file, "--gin.inspect.variant=fiatt"]) == 2
