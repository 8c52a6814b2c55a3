import datetime

import pyarrow
import pytest
from pyarrow import parquet
from rows import write_jsonl

from fiat_jax.data.sources import Json, Jsonl, Parquet, Tfds
from fiat_jax.data.tables import Table
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


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return str(path)


def rows_of(source):
    return [(row.where.rpartition("/")[2], row.fields) for row in source.rows("train")]


def test_a_table_has_a_header_quotes_and_lines_that_go_on(tmp_path):
    path = write(tmp_path / "t.csv", '\ufeffid,text\n1,"a, ""b""\n\nọ"\n\n2,\r\n')
    assert rows_of(Table(train=path)) == [
        ("t.csv:2", {"id": "1", "text": 'a, "b"\n\nọ'}),
        ("t.csv:6", {"id": "2", "text": ""}),
    ]


def test_a_table_without_a_header_has_the_columns_that_are_named(tmp_path):
    path = write(tmp_path / "t.tsv", 'say "a"\t1\r\nb, c\t2\n')
    found = rows_of(Table(train=path, columns=("q", "a"), quoting=False))
    assert found == [("t.tsv:1", {"q": 'say "a"', "a": "1"}), ("t.tsv:2", {"q": "b, c", "a": "2"})]
    assert rows_of(Table(train=write(tmp_path / "t.txt", "a;b\n1;2\n"), delimiter=";")) == [
        ("t.txt:2", {"a": "1", "b": "2"})
    ]


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        ("a,b\n1,2\n1,2,3\n", {}, r"t\.csv:3: expected 2 columns \(a, b\), found 3; check the row"),
        ("a,b\n1,\xe9\n".encode("latin-1"), {}, r"t\.csv:2: expected UTF-8, found .*iconv -f WINDOWS-1252"),
        ('a,b\n1,"2\n3,4\n', {}, r"t\.csv:2: expected a row of a table, but unexpected end of data; close"),
        ("a,a\n1,2\n", {}, r"t\.csv:1: expected each column once, found 'a' again"),
        ("1\n", {"columns": ("a", "b"), "quoting": False}, r"t\.csv:1: expected 2 columns \(a, b\), found 1"),
    ],
)
def test_what_is_wrong_in_a_table_is_said_with_its_line(tmp_path, text, settings, said):
    with pytest.raises(DataError, match=said):
        rows_of(Table(train=write(tmp_path / "t.csv", text), **settings))


def test_a_table_is_set_up_for_one_delimiter_and_columns_that_differ():
    with pytest.raises(ConfigError, match=r"Table\.delimiter: expected one character, found '<>'"):
        Table(train="t.csv", delimiter="<>")
    with pytest.raises(ConfigError, match=r"Table\.columns: expected each column once, found 'a' again"):
        Table(train="t.csv", columns=("a", "b", "a"))


def test_a_json_document_is_a_list_or_has_one_in_it(tmp_path):
    write(tmp_path / "list.json", '\ufeff[{"id": "Ọ"}, {"id": 2}]')
    assert rows_of(Json(train=f"{tmp_path}/list.json")) == [
        ("list.json: [0]", {"id": "Ọ"}),
        ("list.json: [1]", {"id": 2}),
    ]
    write(tmp_path / "deep.json", '{"data": {"rows": [{"id": 1}]}}')
    assert rows_of(Json(train=f"{tmp_path}/deep.json", under="data.rows")) == [
        ("deep.json: data.rows[0]", {"id": 1})
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"data": {}}', r"t\.json: expected a list under data, found dict; say in Json\.under"),
        ('{"rows": []}', r"t\.json: expected a list under data, found none there"),
        ('{"data": [1]}', r"t\.json: data\[0\]: expected a JSON object, found int"),
        ('{"data":\n[}', r"t\.json:2: expected JSON, found broken JSON"),
        (
            '{"data": []}\n{}',
            r"t\.json:2: .*Extra data\); where each line is an object of its own, use Jsonl",
        ),
        (b'{"data": "\xe9"}', r"t\.json: expected UTF-8"),
    ],
)
def test_what_is_wrong_in_a_json_document_is_said(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        rows_of(Json(train=write(tmp_path / "t.json", text), under="data"))


@pytest.mark.parametrize("source", [Jsonl, Json, Table, Parquet])
@pytest.mark.parametrize("place", ["none.x", "none-*.x"])
def test_an_absent_file_is_said_with_the_address_where_it_is_had(tmp_path, source, place):
    absent = source(train=f"{tmp_path}/{place}", address="https://example.org/data")
    with pytest.raises(DataError) as caught:
        rows_of(absent)
    assert f"{tmp_path}/{place}: expected " in str(caught.value)
    assert f"download it from https://example.org/data, or set where it lies in {source.__name__}." in str(
        caught.value
    )
