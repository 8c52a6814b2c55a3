"""The tokenised cache: it gives what the rows give, knows when it is stale, and believes no file."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from rows import example, write_jsonl
from safetensors.numpy import load_file, save_file

from fiat_jax.data import columns, load_examples, pipeline, provenance
from fiat_jax.data.batches import TrainBatches, eval_batches
from fiat_jax.data.columns import columns_of
from fiat_jax.data.given_labels import label_given
from fiat_jax.data.pipeline import Examples, write_cache
from fiat_jax.data.regimes import Regime
from fiat_jax.data.rendering import render
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError, DataError

TRAIN = [example(f"{language}-{i}", language) for language in ("hau", "ibo") for i in range(3)]
TRAIN[1] |= {"answer": ["ẹ́", "Chinua"], "context": "the book was written " * 40, "question": "ọ ẹ?"}
TEST = [example("t-0", "ibo"), example("t-1", "hau")]
RATIONALES = {row["id"]: f"The passage names him, {row['id']}." for row in TRAIN + TEST}


TEMPLATE = Template(explanation="The passage names him.")


def make(folder: Path, vocabulary: str, name: str = "cached", rationales=RATIONALES) -> Task:
    """A task whose files are in a folder."""
    source = Jsonl(
        train=write_jsonl(folder / "train.jsonl", TRAIN), test=write_jsonl(folder / "test.jsonl", TEST)
    )
    rows = [{"id": id, "rationale": text} for id, text in rationales.items()]
    return Task(
        name,
        source,
        TEMPLATE,
        vocabulary,
        rationales=write_jsonl(folder / "rationales.jsonl", rows),
        languages=("hau", "ibo"),
        inputs_length=150,
        targets_length=40,
        cache=str(folder / "cache"),
    )


@pytest.fixture
def task(tmp_path, vocabulary, request):
    return make(tmp_path, vocabulary, request.node.name.split("[")[0])


@pytest.fixture(scope="module")
def written(tmp_path_factory, vocabulary):
    """A cache of the task, made through seqio once; where its files lie is of no account."""
    task = make(tmp_path_factory.mktemp("written"), vocabulary)
    write_cache(task)
    return task.cache


@pytest.fixture
def cached(task, written):
    shutil.copytree(written, task.cache)
    return task


@pytest.fixture
def quickly(monkeypatch):
    """The same ids without seqio, for what is not about them."""

    def rows(task, name, split):
        tokens, (_, language, reading) = task.tokens(), name.split(".")
        for one in render(task, reading, split, (language,)):
            ids = {"inputs": tokens.encode(one.input), "targets": tokens.encode(one.target)}
            read = {name: np.array([*row, tokens.eos_id], np.int32) for name, row in ids.items()}
            yield {"id": one.id.encode(), "inputs_pretokenized": one.input.encode(), **read}

    monkeypatch.setattr(pipeline, "_tokenised", rows)
    monkeypatch.setattr(pipeline, "register", lambda task: ())


def same(one: Examples, other: Examples) -> None:
    assert one.pad_id == other.pad_id
    for name, kind in columns_of(Examples).items():
        pairs = list(zip(getattr(one, name), getattr(other, name), strict=True))
        assert all(np.array_equal(a, b) if kind is np.ndarray else a == b for a, b in pairs), name
        assert [type(a) for a, _ in pairs] == [type(b) for _, b in pairs]


def test_a_cache_gives_the_examples_that_the_rows_give(cached):
    plain = replace(cached, cache=None)
    for reading, split in (("fiat", "train"), ("distillation", "test")):
        same(load_examples(cached, reading, split), load_examples(plain, reading, split))
    turned = ("ibo", "hau")
    same(load_examples(cached, "fiat", "test", turned), load_examples(plain, "fiat", "test", turned))


def test_one_cache_gives_every_regime_the_examples_that_its_rows_give(tmp_path, vocabulary, quickly):
    few = {id: text for id, text in RATIONALES.items() if id not in ("hau-1", "ibo-2")}
    task = make(tmp_path, vocabulary, "regimes_cached", few)
    task = replace(task, without_rationale="leave_out", regime=Regime(1))
    assert ("plain", "train", "6 examples, 1 cut") in [(*at, said[:17]) for *at, said in write_cache(task)]
    counts = set()
    for regime in (Regime(3, seed=1), Regime(4, seed=1), Regime(4, balanced=True), Regime(6)):
        cached = replace(task, regime=regime)
        rows = replace(cached, cache=None)
        for reading in task.readings():
            found = load_examples(cached, reading, "train")
            same(found, load_examples(rows, reading, "train"))
            counts.add((reading, len(found)))
            assert found.lengths == load_examples(replace(task, regime=None), reading, "train").lengths
        turned = ("ibo", "hau")
        same(load_examples(cached, "plain", "train", turned), load_examples(rows, "plain", "train", turned))
        assert len(load_examples(cached, "plain", "test")) == 2
    assert {("plain", 3), ("fiat", 2), ("plain", 4), ("fiat", 3), ("plain", 6), ("fiat", 4)} <= counts
    with pytest.raises(DataError, match="a regime of at most 6 examples"):
        load_examples(replace(task, regime=Regime(7)), "plain", "train")


def test_a_task_with_one_length_has_one_shape_in_training_and_evaluation(cached):
    examples = load_examples(replace(cached, buckets=(160,)), "fiat", "train")
    batches = TrainBatches(examples, 1, 0, (160,))
    shapes = {batches.batch(step)["inputs"].shape for step in range(8)}
    shapes |= {batch["inputs"].shape for batch, _ in eval_batches(examples, 1, (160,))}
    assert shapes == {(1, 160)}
    assert max(map(len, examples.inputs)) < 160


def test_token_ids_of_a_cache_are_mapped_and_not_read(cached):
    (inputs, again) = (load_examples(cached, "fiat", "train").inputs for _ in range(2))
    base = inputs.flat
    while isinstance(base.base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not inputs[0].flags.writeable
    assert inputs[-1].tolist() == again[len(again) - 1].tolist() == inputs[4:][1].tolist()
    with pytest.raises(IndexError):
        inputs[6]


def test_it_is_read_where_neither_rows_nor_rationales_are(cached, tmp_path, caplog):
    before = load_examples(cached, "fiat", "test")
    for path in tmp_path.glob("*.jsonl"):
        path.unlink()
    with caplog.at_level("INFO"):
        same(load_examples(cached, "fiat", "test"), before)
    assert "no files of its rows and rationales here to compare" in caplog.text
    assert label_given(cached, "fiat") == ""


def write_rationales(task: Task, **more) -> None:
    rows = [{"id": id, "rationale": text, **more} for id, text in RATIONALES.items()]
    write_jsonl(Path(task.rationales), rows)


CHANGES = {
    "Task.template.instruction": lambda t: replace(
        t, template=replace(TEMPLATE, instruction="The answer is")
    ),
    "Task.inputs_length": lambda t: replace(t, inputs_length=160),
    "Task.languages": lambda t: replace(t, languages=("ibo", "hau")),
    "Task.without_rationale": lambda t: replace(t, without_rationale="leave_out"),
    "the vocabulary": lambda t: replace(t, vocabulary="byte"),
    "the rows of 'train'": lambda t: write_jsonl(Path(t.source.train), [*TRAIN[1:], TRAIN[0]]),
    "the rationales of 'train'": lambda t: write_rationales(t, given_label=True),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_stale_cache_is_an_error_that_says_what_has_changed(cached, what):
    changed = CHANGES[what](cached)
    now = changed if isinstance(changed, Task) else cached
    with pytest.raises(DataError, match=f"have changed: {what}; run `fiat cache`"):
        load_examples(now, "fiat", "train")


def test_what_changes_no_token_makes_no_cache_stale(cached):
    write_jsonl(Path(cached.source.train), TRAIN)  # other times, the same rows
    write_rationales(cached)
    renamed = replace(cached, name="another", rationales=f"{cached.rationales}.copy")
    shutil.copy(cached.rationales, renamed.rationales)
    same(load_examples(renamed, "fiat", "train"), load_examples(cached, "fiat", "train"))
    write_rationales(cached, given_label=True)
    load_examples(cached, "instruction", "train")  # reads no rationale


def test_every_setting_of_a_task_is_compared_but_those_that_are_known_to_change_nothing(task):
    known = set(provenance.settings(task)) | provenance._ELSEWHERE | provenance._BY_CONTENT
    assert {name.partition(".")[0] for name in known} >= set(Task.__dataclass_fields__)
    assert {f"template.{name}" for name in Template.__dataclass_fields__} <= known


def test_a_reading_that_cannot_be_cached_says_why_where_it_is_asked_for(tmp_path, vocabulary, quickly):
    few = {row["id"]: "The passage names him." for row in TRAIN}
    task = make(tmp_path, vocabulary, "few_cached", few)
    done = {(reading, split): said for reading, split, said in write_cache(task)}
    assert "found none for 't-1'" in done["fiat", "test"]
    assert done["fiat", "train"].startswith("6 examples, 1 cut")
    with pytest.raises(DataError, match=r"'fiat' of 'test' was not cached, as .* found none for 't-1'"):
        load_examples(task, "fiat", "test")
    assert len(load_examples(task, "plain", "test")) == 2


def test_rationales_written_from_the_label_are_still_known_for_such(task, quickly):
    write_rationales(task, given_label=True)
    write_cache(task)
    Path(task.rationales).unlink()
    assert "'hau-0'" in label_given(task, "fiat")
    assert label_given(task, "plain") == ""
    with pytest.raises(DataError, match=r"was not cached, as .* written without the label"):
        load_examples(task, "fiat", "test")


def test_a_cache_that_is_not_there_is_an_error_that_says_how_to_make_it(task):
    with pytest.raises(ConfigError, match=r"expected a cache in .*, found none; run `fiat cache`"):
        load_examples(task, "plain", "train")
    with pytest.raises(ConfigError, match="expected a folder for the token ids"):
        write_cache(replace(task, cache=None))


def test_no_other_folder_is_replaced(task, tmp_path):
    with pytest.raises(ConfigError, match="expected an empty folder or a cache to write anew"):
        write_cache(replace(task, cache=str(tmp_path)))
    assert (tmp_path / "train.jsonl").exists()


def test_a_cache_is_written_whole_or_not_at_all(cached, tmp_path, monkeypatch, quickly):
    before = load_examples(cached, "fiat", "train")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fiat_jax.data.cache.write_columns", killed)
    with pytest.raises(KeyboardInterrupt):
        write_cache(cached)
    same(load_examples(cached, "fiat", "train"), before)
    assert sorted(path.name for path in tmp_path.glob("cache*")) == ["cache"]


def test_a_cache_written_again_holds_what_there_is_now(cached, quickly):
    write_jsonl(Path(cached.source.test), [*TEST[:1], example("t-5", "hau")])
    write_rationales(cached)
    write_cache(replace(cached, rationales=None))
    assert set(load_examples(replace(cached, rationales=None), "plain", "test").ids) == {"t-0", "t-5"}
    assert not list(Path(cached.cache).glob("fiat*"))


def spoil_tensors(task: Task, **changed) -> None:
    path = Path(task.cache) / "fiat.train.safetensors"
    arrays = load_file(path) | changed
    save_file({name: array for name, array in arrays.items() if array is not None}, path)


def spoil_header(task: Task, change) -> None:
    path = Path(task.cache) / "header.json"
    header = json.loads(path.read_text())
    change(header)
    path.write_text(json.dumps(header))


FOREIGN = {
    "no file": lambda t: (Path(t.cache) / "fiat.train.safetensors").unlink(),
    "no tensors": lambda t: (Path(t.cache) / "fiat.train.safetensors").write_bytes(b"\xff" * 100),
    "cut short": lambda t: (Path(t.cache) / "fiat.train.safetensors").write_bytes(
        (Path(t.cache) / "fiat.train.safetensors").read_bytes()[:-9]
    ),
    "a column is absent": lambda t: spoil_tensors(t, targets=None),
    "one too many": lambda t: spoil_tensors(t, more=np.zeros(3, np.int32)),
    "wide ids": lambda t: spoil_tensors(t, targets=np.zeros(3, np.int64)),
    "offsets beyond": lambda t: spoil_tensors(t, **{"ids.offsets": np.array([0, 5, 10, 15, 20, 25, 99])}),
    "offsets that fall": lambda t: spoil_tensors(t, **{"ids.offsets": np.array([0, 9, 5, 15, 20, 25, 30])}),
    "offsets below": lambda t: spoil_tensors(t, **{"ids.offsets": np.array([-5, 5, 10, 15, 20, 25, 30])}),
    "ids beyond the vocabulary": lambda t: spoil_tensors(
        t, targets=np.full(2, 300, np.int32), **{"targets.offsets": np.array([0, 1, 2, 2, 2, 2, 2])}
    ),
    "empty targets": lambda t: spoil_tensors(
        t, targets=np.zeros(0, np.int32), **{"targets.offsets": np.zeros(7, np.int64)}
    ),
    "another count": lambda t: spoil_header(t, lambda h: h["entries"]["fiat.train"].update(count=5)),
    "a count that is none": lambda t: spoil_header(t, lambda h: h["entries"]["fiat.train"].update(count="6")),
    "a pad id that is none": lambda t: spoil_header(
        t, lambda h: h["entries"]["fiat.train"]["values"].update(pad_id=[])
    ),
    "no entry": lambda t: spoil_header(t, lambda h: h["entries"].pop("fiat.train")),
    "another format": lambda t: spoil_header(t, lambda h: h.update(format=2)),
    "entries that are none": lambda t: spoil_header(t, lambda h: h.update(entries=[1])),
    "a header that is none": lambda t: (Path(t.cache) / "header.json").write_text("[" * 10**5),
}


@pytest.mark.parametrize("fault", FOREIGN)
def test_a_foreign_file_is_an_error_and_nothing_worse(cached, fault):
    FOREIGN[fault](cached)
    with pytest.raises(DataError, match=r"cache.*fiat cache"):
        load_examples(cached, "fiat", "train")


def test_text_that_is_none_is_an_error_where_it_is_read(cached):
    spoil_tensors(cached, ids=np.full(30, 0xFF, np.uint8))
    examples = load_examples(cached, "fiat", "train")
    with pytest.raises(DataError, match="'ids': expected what was written"):
        examples.ids[2]


class Cut(NamedTuple):
    field: str
    share: float


def test_types_that_examples_may_come_to_hold_survive(tmp_path):
    kinds = (tuple[Cut, ...], dict[str, float], tuple[int, str], str | None, bool)
    values = ((Cut("context", 0.5), Cut("title", 1.0)), {"context": 2.0}, (1, "a"), None, True)
    for kind, value in zip(kinds, values, strict=True):
        back = columns.restored(kind, json.loads(json.dumps(columns.plain(value))))
        assert back == value and type(back) is type(value)
    for kind, value in ((int, True), (tuple[int, str], [1]), (str | None, 3), (Cut, {"field": 1}), (bool, 1)):
        with pytest.raises(ValueError):
            columns.restored(kind, value)


def test_a_cache_in_a_bucket_is_written_and_read_like_any(gcs, task, quickly):
    gcs.objects.clear()
    far = replace(task, cache="gs://runs/ids")
    write_cache(far)
    same(load_examples(far, "fiat", "train"), load_examples(replace(task, cache=None), "fiat", "train"))
    assert load_examples(far, "fiat", "train").ids[0] == "hau-0"
    write_rationales(task, given_label=True)
    with pytest.raises(DataError, match=r"gs://runs/ids: .* the rationales of 'train'; run `fiat cache`"):
        load_examples(far, "fiat", "train")
    write_cache(replace(far, rationales=None))
    names = {name for name in gcs.objects if "ids/" in str(name)}
    assert len(names) == 5 and not any("fiat" in str(name) for name in names)  # what is not theirs any more
