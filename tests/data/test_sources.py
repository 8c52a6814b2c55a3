import datetime

import pyarrow
import pytest
from pyarrow import parquet
from rows import write_jsonl

from fiat_jax.data.sources import Jsonl, Parquet, Tfds
from fiat_jax.errors import ConfigError, DataError

ROWS = [{"id": str(i), "question": f"who {{is}} {i}? Ọ̀nà"} for i in range(5)]


def write_parquet(path, rows):
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=2)


def test_json_rows_come_in_order_with_their_lines(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", ROWS)
    source = Jsonl(train=str(tmp_path / "train.jsonl"))
    rows = list(source.rows("train"))
    assert [row.fields for row in rows] == ROWS
    assert rows[3].where == f"{tmp_path}/train.jsonl:4"
    assert rows[3].language is None


def test_a_language_in_the_path_stands_for_a_file_each(tmp_path):
    for language in ("ibo", "hau"):
        write_jsonl(tmp_path / f"{language}.jsonl", [{"id": language}])
    source = Jsonl(test=str(tmp_path / "{language}.jsonl"))
    rows = list(source.rows("test", ("ibo", "hau")))
    assert [(row.language, row.fields["id"]) for row in rows] == [("ibo", "ibo"), ("hau", "hau")]
    assert source.by_language()
    assert source.splits() == ("test",)


def test_an_absent_file_and_a_broken_line_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.jsonl"):
        list(Jsonl(train=str(tmp_path / "nowhere.jsonl")).rows("train"))
    (tmp_path / "train.jsonl").write_text('{"id": 1}\n\n{"id": 2\n')
    with pytest.raises(DataError, match=r"train\.jsonl:3: expected a JSON object"):
        list(Jsonl(train=str(tmp_path / "train.jsonl")).rows("train"))


@pytest.mark.parametrize("place", ["file.parquet", ".", "f*.parquet"])
def test_parquet_gives_what_json_lines_give(tmp_path, place):
    write_parquet(tmp_path / "file.parquet", ROWS)
    rows = list(Parquet(train=str(tmp_path / place)).rows("train"))
    assert [row.fields for row in rows] == ROWS
    assert rows[4].where.endswith("file.parquet: row 5")


def test_parquet_shards_come_in_the_order_of_their_names(tmp_path):
    for i in (2, 0, 1):
        write_parquet(tmp_path / f"train-{i}.parquet", [{"id": i}])
    rows = Parquet(train=str(tmp_path / "train-*.parquet")).rows("train")
    assert [row.fields["id"] for row in rows] == [0, 1, 2]


def test_a_name_on_the_hub_or_a_broken_parquet_file_says_what_is_needed(tmp_path):
    with pytest.raises(DataError, match="download the parquet files"):
        list(Parquet(train="squad").rows("train"))
    (tmp_path / "x.parquet").write_text("not parquet")
    with pytest.raises(DataError, match=r"x\.parquet: expected a parquet file"):
        list(Parquet(train=str(tmp_path / "x.parquet")).rows("train"))


@pytest.mark.parametrize("make", [Jsonl, Parquet])
def test_a_data_set_script_is_refused_with_what_to_use(make):
    with pytest.raises(ConfigError, match=r"scripts are not run: use .* parquet or JSON-lines .* TFDS"):
        make(train="datasets/squad.py")


def test_a_source_without_a_place_or_with_another_name_in_braces_is_refused():
    with pytest.raises(ConfigError, match="expected a place for one of train, validation, test"):
        Jsonl()
    with pytest.raises(ConfigError, match=r"no name in braces but {language}"):
        Jsonl(train="{lang}.jsonl")


def test_tfds_rows_are_plain_python(tmp_path):
    from fiat_jax.data.tensorflow import tf, tfds

    text = tfds.features.Text()
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny_qa",
        version="1.0.0",
        data_dir=tmp_path,
        features=tfds.features.FeaturesDict(
            {"question": text, "answers": tfds.features.Sequence(text), "year": tf.int64}
        ),
        split_datasets={
            "train": [
                (i, {"question": f"Kedụ {i}?", "answers": ["a", "b"], "year": 1958 + i}) for i in range(4)
            ]
        },
        release_notes={"1.0.0": str(datetime.date.today())},
    )
    source = Tfds(name="tiny_qa", train="train[:75%]", data_dir=str(tmp_path))
    rows = list(source.rows("train"))
    assert len(rows) == 3
    assert rows[0].fields["question"] == "Kedụ 0?"
    assert rows[0].fields["answers"] == ["a", "b"]
    assert rows[0].fields["year"] == 1958
    assert len({row.fields["tfds_id"] for row in rows}) == 3
    with pytest.raises(DataError, match="TFDS tiny_qa:nowhere: expected a data set and split that load"):
        list(Tfds(name="tiny_qa", train="nowhere", data_dir=str(tmp_path)).rows("train"))
