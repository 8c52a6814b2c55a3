"""Paths that are here or in a bucket, and what is done to either."""

import subprocess
import sys

import pytest

from fiat_jax import paths
from fiat_jax.checkpoints.huggingface import find_folder
from fiat_jax.data.sources import Jsonl, Parquet
from fiat_jax.data.vocabularies import find_vocabulary
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning import Store
from fiat_jax.reasoning.calls import Completion
from fiat_jax.reasoning.store import export_jsonl, open_rationales
from fiat_jax.records import read_jsonl, write_whole
from fiat_jax.training import MetricsLog


@pytest.fixture(params=["here", "bucket"])
def folder(request, tmp_path):
    if request.param == "here":
        return tmp_path / "folder"
    request.getfixturevalue("gcs")
    return paths.at("gs://bucket/folder")


def names(folder):
    return sorted(path.name for path in paths.files_under(folder))


def test_a_file_is_written_whole_added_to_and_measured(folder):
    folder.mkdir(parents=True)
    path = folder / "a.txt"
    paths.append(path, "é\n")
    paths.append(path, "b\n")
    assert path.read_text(encoding="utf-8") == "é\nb\n" and paths.size(path) == 5
    write_whole(str(path), "c\n")
    assert path.read_text(encoding="utf-8") == "c\n"
    write_whole(path, "")
    assert paths.size(path) == 0
    assert names(folder) == ["a.txt"]


def test_files_are_found_whoever_wrote_them_and_when(folder):
    (folder / "in").mkdir(parents=True)
    write_whole(folder / "in" / "a", "a")
    assert names(folder) == ["a"]
    with paths.local_writing(folder / "in") as place:
        (place / "b").write_bytes(b"x" * 300_000)
        (place / "c").write_text("c")
    assert names(folder) == ["a", "b", "c"]
    copy = paths.local_copy(folder / "in", wanted=("b", "d"))
    assert (copy / "b").stat().st_size == 300_000


def test_metrics_outlive_a_kill_up_to_what_was_flushed_and_go_on_there(folder):
    log = MetricsLog(folder, 0, 9)
    for step in (1, 2):
        log.write(step, "train", {"loss": step})
    log.flush()
    log.write(3, "train", {"loss": 3.0})
    assert [row["step"] for row in read_jsonl(folder / "metrics.jsonl")][:2] == [1, 2]
    MetricsLog(folder, 1, 9).close()
    assert [row["step"] for row in read_jsonl(folder / "metrics.jsonl")] == [1]
    assert all(paths.size(path) for path in (folder / "tensorboard").iterdir())
    log.close()


def test_data_is_read_by_name_pattern_and_language(folder, tmp_path):
    from pyarrow import Table, parquet

    folder.mkdir(parents=True)
    for language in "ab":
        for part in (1, 2):
            write_whole(folder / f"{language}-{part}.jsonl", f'{{"n": "{language}{part}"}}\n')
    source = Jsonl(train=f"{folder}/{{language}}-*.jsonl", test=f"{folder}/a-1.jsonl")
    assert [row.fields["n"] for row in source.rows("train", ("a", "b"))] == ["a1", "a2", "b1", "b2"]
    assert [row.where for row in source.rows("test")] == [f"{folder}/a-1.jsonl:1"]
    with pytest.raises(DataError, match=r"found none .* file or directory"):
        list(Jsonl(test=f"{folder}/none.jsonl").rows("test"))
    with pytest.raises(DataError, match="expected files of that pattern"):
        list(Jsonl(test=f"{folder}/none*.jsonl").rows("test"))
    with paths.local_writing(folder) as place:
        parquet.write_table(Table.from_pylist([{"n": 1}, {"n": 2}]), place / "a.parquet")
    assert [row.fields["n"] for row in Parquet(test=f"{folder}/*.parquet").rows("test")] == [1, 2]


def test_a_base_is_copied_here_once_and_again_when_it_changes(gcs):
    for name in ("config.json", "model.safetensors", "tokenizer.json", "flax_model.msgpack"):
        gcs.put(f"bucket/model/{name}", name.encode(), None)
    folder = find_folder("gs://bucket/model")
    assert names(folder) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert find_vocabulary("gs://bucket/model").read_text() == "tokenizer.json"
    assert find_vocabulary("gs://bucket/model/tokenizer.json") == folder / "tokenizer.json"
    weights = folder / "model.safetensors"
    before = weights.stat().st_ino
    find_folder("gs://bucket/model")
    assert weights.stat().st_ino == before
    gcs.put("bucket/model/model.safetensors", b"others", None)
    del gcs.objects["bucket/model/tokenizer.json"]
    assert (find_folder("gs://bucket/model") / "model.safetensors").read_bytes() == b"others"
    assert names(folder) == ["config.json", "model.safetensors"]


def test_rationales_in_a_bucket_are_read_and_a_store_is_not_written_there(gcs, tmp_path):
    with Store(tmp_path / "made.sqlite") as store:
        store.plan({"messages": []}, "model", {"one": "key"})
        store.put("key", Completion("because"))
    gcs.put("bucket/made.sqlite", (tmp_path / "made.sqlite").read_bytes(), None)
    rationales = open_rationales("gs://bucket/made.sqlite")
    assert rationales == {"one": "because"}
    export_jsonl(rationales, "gs://bucket/made.jsonl")
    assert open_rationales("gs://bucket/made.jsonl") == rationales
    with pytest.raises(ConfigError, match="expected a local file to keep rationales in"):
        Store("gs://bucket/made.sqlite")


def test_other_places_and_a_missing_library_are_one_sentence(monkeypatch):
    with pytest.raises(ConfigError, match="expected a local path or gs://BUCKET/PATH, found s3://"):
        paths.at("s3://bucket/train.jsonl")
    monkeypatch.setattr(paths.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"expected gcsfs, .* pip install 'fiat-jax\[gcs\]'"):
        paths.at("gs://bucket/train.jsonl")


def test_a_bucket_is_read_without_tensorflow(gcs):
    gcs.put("bucket/a", b"", None)
    code = """if True:
        import sys
        from fiat_jax.paths import at
        print(at("gs://bucket/a").exists(), "tensorflow" in sys.modules)"""
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert out.stdout.split() == ["True", "False"]
