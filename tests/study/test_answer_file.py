"""A file of answers: what it keeps of an earlier start, here and in a bucket."""

from pathlib import Path

import pytest

from fiat_jax.errors import DataError
from fiat_jax.paths import at
from fiat_jax.study.answer_file import AnswerFile

SETTINGS = {"search": "Greedy()"}
ROWS = [(number, {"id": str(number), "text": "é"}) for number in range(1, 4)]


def answered(row):
    return row | {"prediction": "yes"}


def test_in_a_bucket_it_is_there_when_it_is_closed_and_goes_on_from_there(gcs, tmp_path):
    target = at("gs://bucket/answers/new.jsonl")
    with pytest.raises(KeyboardInterrupt), AnswerFile(target, SETTINGS) as file:
        file.add(answered(ROWS[0][1]))
        assert "bucket/answers/new.jsonl" not in gcs.objects
        raise KeyboardInterrupt
    with AnswerFile(target, SETTINGS) as file:
        assert file.count_of(ROWS, Path("new.jsonl"), ("prediction",)) == 1
        for _, row in ROWS[1:]:
            file.add(answered(row))
    text = gcs.objects["bucket/answers/new.jsonl"].data.decode()
    here = tmp_path / "new.jsonl"
    with AnswerFile(here, SETTINGS) as file:
        for _, row in ROWS:
            file.add(answered(row))
    assert text == here.read_text(encoding="utf-8") and text.count("é") == 3
    assert set(gcs.objects) == {f"bucket/answers/new.jsonl{end}" for end in ("", ".settings.json")}


def test_a_broken_line_that_is_whole_is_named(tmp_path):
    path = tmp_path / "new.jsonl"
    with AnswerFile(path, SETTINGS) as file:
        file.add(answered(ROWS[0][1]))
    path.write_text(path.read_text(encoding="utf-8") + "{broken\n", encoding="utf-8")
    with (
        AnswerFile(path, SETTINGS) as file,
        pytest.raises(DataError, match=r"new.jsonl:2: expected a JSON object"),
    ):
        file.count_of(ROWS, Path("rows.jsonl"), ("prediction",))
