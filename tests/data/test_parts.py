"""A task in parts: together they are what the task itself gives."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from fiat_jax.data.parts import Inputs, Part, parts_of
from fiat_jax.data.sources import Jsonl, Parquet
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.errors import DataError


def task(source: Any, **settings: Any) -> Task:
    template = Template(input="{question}", target="{answer}", cut="")
    return Task(name="t", source=source, template=template, vocabulary="byte", **settings)


def rows(language: str, count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"{language}-{n}", "question": f"q {n}", "answer": "a", "language": language}
        for n in range(count)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for language in ("hau", "zul"):
        for shard, some in enumerate((rows(language, 5)[:3], rows(language, 5)[3:])):
            name = f"{language}-{shard}"
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
            (tmp_path / "parquet" / language).mkdir(parents=True, exist_ok=True)
            parquet.write_table(
                pa.Table.from_pylist(some), tmp_path / "parquet" / language / f"{name}.parquet"
            )
    return tmp_path


def read(part: Part | Inputs) -> Iterator[tuple[str, dict[str, Any]]]:
    """Reads a part as a worker does: from its pickle, and file by file."""
    part = pickle.loads(pickle.dumps(part))
    if part.place is None:
        yield from part.rows()
        return
    pattern = Path(part.place)
    for path in sorted(pattern.parent.glob(pattern.name)):
        with path.open("rb") as file:
            yield from part.rows(file, str(path))


@pytest.mark.parametrize(
    ("source", "settings", "count"),
    [
        (lambda at: Jsonl(train=f"{at}/*.jsonl"), {}, 1),
        (lambda at: Jsonl(train=f"{at}/*.jsonl"), {"languages": ("zul",)}, 1),
        (lambda at: Jsonl(train=f"{at}/{{language}}-*.jsonl"), {"languages": ("zul", "hau")}, 2),
        (lambda at: Jsonl(train=f"{at}/*.jsonl"), {"holdout": 2}, 1),
        (lambda at: Parquet(train=f"{at}/parquet/{{language}}"), {"languages": ("hau", "zul")}, 2),
        (lambda at: Parquet(train=f"{at}/parquet/hau/hau-*.parquet"), {}, 1),
    ],
)
def test_the_parts_of_a_split_have_its_rows(
    folder: Path, source: Any, settings: dict[str, Any], count: int
) -> None:
    whole = task(source(folder), **settings)
    for split in whole.splits():
        parts = parts_of(whole, split)
        assert len(parts) == count
        assert [row for part in parts for _, row in read(part)] == list(whole.rows(split))


def test_a_row_of_a_part_knows_its_file_and_line_and_a_bad_one_is_named(folder: Path) -> None:
    [part] = parts_of(task(Jsonl(train=f"{folder}/hau-*.jsonl")), "train")
    assert [where for where, _ in read(part)][2:4] == [f"{folder}/hau-0.jsonl:3", f"{folder}/hau-1.jsonl:1"]
    (folder / "hau-1.jsonl").write_text('{"id": "x", "question": "q"}\n')
    with pytest.raises(DataError, match=r"hau-1\.jsonl:1: expected a field 'answer'"):
        list(read(part))


def test_inputs_need_no_answer_and_are_numbered_where_they_have_no_id(tmp_path: Path) -> None:
    (tmp_path / "new.jsonl").write_text('{"question": "q"}\n\n{"question": "r", "id": 7}\n')
    inputs = Inputs(task(Jsonl(train="train.jsonl")), f"{tmp_path}/new.jsonl")
    assert [(where[-2:], row["id"]) for where, row in read(inputs)] == [(":1", "1"), (":3", "7")]
    (tmp_path / "new.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match=r"new\.jsonl:1: expected a field 'question'"):
        list(read(inputs))


def test_a_pattern_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none-\*\.jsonl: expected files of that pattern, found none"):
        list(task(Jsonl(train=f"{tmp_path}/none-*.jsonl")).rows("train"))
