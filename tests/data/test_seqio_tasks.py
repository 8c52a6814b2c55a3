import pyarrow as pa
import pytest
from pyarrow import parquet
from recipes import link_data
from rows import example, write_jsonl

from fiat_jax import load_task
from fiat_jax.data import load_examples, load_tokens, register, register_task
from fiat_jax.data.regimes import Regime
from fiat_jax.data.rendering import render
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError, DataError

SIZES = {"hau": 3, "ibo": 9}
TRAIN = [example(f"{language}-{i}", language) for language, size in SIZES.items() for i in range(size)]
RATIONALES = {row["id"]: f"The passage names him. The answer is: {row['id']}" for row in TRAIN}


@pytest.fixture
def task(make_task):
    return make_task(RATIONALES, train=TRAIN, languages=tuple(SIZES))


@pytest.fixture
def seqio():
    from fiat_jax.data.tensorflow import seqio

    return seqio


def read(seqio, name, **settings):
    settings = {"sequence_length": None, "split": "train", "shuffle": False, "num_epochs": 1} | settings
    return list(seqio.get_mixture_or_task(name).get_dataset(**settings).as_numpy_iterator())


def test_each_variant_is_a_mixture_of_its_languages(task, seqio):
    names = register(task)
    readings = ("plain", "instruction", "fiat", "distillation", "explanation")
    assert names[:5] == tuple(f"{task.name}.{reading}" for reading in readings)
    assert set(names[5:]) == {f"{task.name}.{one}.{reading}" for one in SIZES for reading in readings}
    mixture = seqio.get_mixture_or_task(f"{task.name}.fiat")
    assert [one.name for one in mixture.tasks] == [f"{task.name}.hau.fiat", f"{task.name}.ibo.fiat"]
    assert [mixture.get_rate(one) for one in mixture.tasks] == list(SIZES.values())


def test_a_mixtures_epoch_gives_every_example_once(task, seqio):
    register(task)
    lengths = {"inputs": 512, "targets": 64}
    rows = read(seqio, f"{task.name}.fiat", sequence_length=lengths, copy_pretokenized=True)
    assert all(row["inputs"][-1] == row["targets"][-1] == 1 for row in rows)
    texts = sorted(row["inputs_pretokenized"].decode() for row in rows)
    assert texts == sorted(load_examples(task, "fiat", "train").texts)
    assert len(set(texts)) == len(TRAIN)


def test_an_endless_mixture_goes_on(task, seqio):
    register(task)
    dataset = seqio.get_mixture_or_task(f"{task.name}.plain").get_dataset(
        sequence_length={"inputs": 512, "targets": 64}, split="train", shuffle=False
    )
    assert len(list(dataset.take(40))) == 40


def test_seqios_own_lengths_cut_the_passage_and_keep_the_end(task, seqio):
    register(task)
    tokens = load_tokens(task.vocabulary)
    name = f"{task.name}.hau.fiat"
    whole = read(seqio, name)[0]
    length = len(whole["inputs"]) - 4
    cut = read(seqio, name, sequence_length={"inputs": length, "targets": 64})[0]
    assert len(cut["inputs"]) <= length
    assert cut["inputs"][-1] == 1
    assert tokens.decode(whole["inputs"]).startswith(tokens.decode(cut["inputs"]))
    assert "question: who wrote hau-0?" in cut["inputs_pretokenized"].decode()


def test_seqio_scores_predictions_against_all_answers(make_task, seqio):
    task = make_task(test=[example("a", answer=["1958", "the year 1958"])])
    register(task)
    (row,) = read(seqio, f"{task.name}.plain", split="test")
    registered = seqio.get_mixture_or_task(f"{task.name}.plain")
    target = registered.postprocess_fn("1958", example=row, is_target=True)
    prediction = registered.postprocess_fn("Year 1958.", example=row, is_target=False)
    (metric,) = registered.metric_fns
    assert metric([target], [prediction]) == {"f1": 100.0, "em": 100.0}


def test_seqio_scores_each_language_by_its_own_rules(make_task, seqio):
    task = make_task(test=[example("a", language="zh")], languages=("zh",), metrics=("squad", "mlqa"))
    register(task)
    squad, mlqa = seqio.TaskRegistry.get(f"{task.name}.zh.plain").metric_fns
    assert squad([["北京大学"]], ["北京"]) == {"f1": 0.0, "em": 0.0}
    assert mlqa([["北京大学"]], ["北京"]) == {"mlqa_f1": pytest.approx(200 / 3), "mlqa_em": 0.0}


def test_a_task_is_registered_once_and_its_name_is_its_own(make_task, task):
    assert register(task) == register(task)
    other = make_task(RATIONALES, train=TRAIN, languages=tuple(SIZES), inputs_length=100)
    with pytest.raises(ConfigError, match="a different task that is registered under it"):
        register(other)


def test_words_that_the_vocabulary_would_change_are_refused_at_registration(make_task):
    template = Template(input="question: {question}\n{context}")
    with pytest.raises(ConfigError, match=r"Template\.input"):
        register(make_task(train=TRAIN, template=template))


def test_one_function_and_field_names_are_enough(tmp_path, vocabulary, seqio):
    rows = [
        {"key": 5, "ask": "who wrote the book?", "text": "Chinua Achebe wrote it.", "gold": "Chinua Achebe"}
    ]
    task = register_task(
        "own_rows",
        train=write_jsonl(tmp_path / "train.jsonl", rows),
        input="question: {ask} context: {text}",
        target="{gold}",
        id_field="key",
        answer_field="gold",
        vocabulary=vocabulary,
    )
    assert task.template.cut == "text"
    (row,) = read(seqio, "own_rows.plain")
    assert row["inputs_pretokenized"] == b"question: who wrote the book? context: Chinua Achebe wrote it."
    assert row["targets_pretokenized"] == b"Chinua Achebe"
    assert row["id"] == b"5"


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_registration_takes_languages_a_regime_and_rates_and_reads_files_by_suffix(
    tmp_path, vocabulary, seqio, suffix
):
    path = tmp_path / f"train.{suffix}"
    if suffix == "jsonl":
        write_jsonl(path, TRAIN)
    else:
        parquet.write_table(pa.Table.from_pylist(TRAIN), path)
    task = register_task(
        f"of_{suffix}",
        vocabulary=vocabulary,
        train=str(path),
        languages=["hau", "ibo"],
        holdout=1,
        regime=Regime(4, balanced=True),
        mixing="equal",
    )
    mixture = seqio.get_mixture_or_task(f"of_{suffix}.instruction")
    assert [mixture.get_rate(one) for one in mixture.tasks] == [1, 1]
    assert len(read(seqio, f"of_{suffix}.hau.plain")) == 2
    assert len(read(seqio, f"of_{suffix}.ibo.plain", split="validation")) == 1
    assert len(list(task.rows("train"))) == 4


def test_files_of_two_kinds_are_refused(vocabulary):
    with pytest.raises(ConfigError, match=r"for all splits, found a\.jsonl, b\.parquet"):
        register_task("two", vocabulary=vocabulary, train="a.jsonl", test="b.parquet")


def test_examples_come_in_the_order_of_languages_and_files(task):
    examples = load_examples(task, "fiat", "train")
    assert examples.ids == tuple(row["id"] for row in TRAIN)
    assert examples.languages == tuple(row["language"] for row in TRAIN)
    assert examples.answers == (("Chinua Achebe",),) * len(TRAIN)
    only = load_examples(task, "fiat", "train", ("ibo",))
    assert only.ids == tuple(id for id in examples.ids if id.startswith("ibo"))


def test_ids_are_those_of_the_text_and_its_end(task):
    tokens = load_tokens(task.vocabulary)
    examples = load_examples(task, "fiat", "train")
    for text, inputs, targets in zip(examples.texts, examples.inputs, examples.targets, strict=True):
        assert inputs.tolist() == [*tokens.encode(text), 1]
        assert targets.tolist() == [*tokens.encode("Chinua Achebe"), 1]


def test_cut_examples_and_unknown_tokens_are_counted_and_logged(make_task, caplog):
    rows = [example("a"), example("b", context="the book was written " * 40), example("a2", question="ọ ẹ?")]
    task = make_task(train=rows, inputs_length=150)
    with caplog.at_level("INFO"):
        examples = load_examples(task, "plain", "train")
    counts = examples.counts()
    assert examples.cut == ({}, {"context": 0.7214}, {})
    assert (counts.examples, counts.cut, counts.unknown) == (3, 1, sum(examples.unknown))
    assert examples.unknown[2] == 2
    assert counts.tokens == sum(len(row) - 1 for row in examples.inputs)
    assert counts.losses == {"context": (1, 0.7214)}
    assert "3 examples, 1 cut (on average context by 72 %), " in caplog.text
    assert all(len(row) <= 150 for row in examples.inputs)


def test_what_is_wrong_in_a_row_is_said_in_one_sentence_without_tensorflows(make_task, capfd):
    task = make_task({"a": "text"}, train=[example("a"), example("b")])
    with pytest.raises(DataError, match="found none for 'b'"):
        load_examples(task, "fiat", "train")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("length", "cut"),
    [(400, {"plain": 1, "instruction": 3, "fiat": 40}), (512, {"plain": 0, "instruction": 0, "fiat": 0})],
)
def test_afriqa_fits_as_measured(afriqa, real_t5, length, cut):
    task = Task(
        "afriqa",
        Jsonl(train=f"{afriqa}/{{language}}.train.jsonl", test=f"{afriqa}/{{language}}.test.jsonl"),
        Template(),
        str(real_t5),
        rationales=f"{afriqa}/{{language}}.rationales.jsonl",
        languages=("bem", "hau", "ibo", "zul"),
        inputs_length=length,
        targets_length=72,
    )
    assert {variant: sum(bool(one.cut) for one in render(task, variant, "train")) for variant in cut} == cut


def test_afriqa_through_seqio(afriqa, real_t5):
    task = register_task(
        "afriqa",
        train=f"{afriqa}/{{language}}.train.jsonl",
        test=f"{afriqa}/{{language}}.test.jsonl",
        rationales=f"{afriqa}/{{language}}.rationales.jsonl",
        languages=["bem", "hau", "ibo", "zul"],
        vocabulary=str(real_t5),
        targets_length=72,
    )
    examples = load_examples(task, "fiat", "test")
    assert [examples.counts(language).examples for language in task.languages] == [100] * 4
    assert max(map(len, examples.inputs)) == 440
    shares = [examples.counts(one).unknown / examples.counts(one).tokens for one in task.languages]
    assert [round(100 * share, 2) for share in shares] == [0.16, 0.61, 1.35, 0.04]


def test_a_recipe_is_known_to_seqio_with_all_its_languages(seqio, tmp_path, monkeypatch):
    link_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    name = "recipes/xtreme_up_cross_lingual.gin"
    task = load_task(name, "Task.vocabulary=byte", "Task.name=xtreme_up_in_seqio")
    names = register(task)
    assert len(task.languages) == 26 and {"bn", "as", "brx", "ur"} <= set(task.languages)
    mixture = seqio.MixtureRegistry.get("xtreme_up_in_seqio.instruction")
    assert {one.name for one in mixture.tasks} == {
        f"xtreme_up_in_seqio.{language}.instruction" for language in task.languages
    }
    assert set(names) <= {*seqio.MixtureRegistry.names(), *seqio.TaskRegistry.names()}
    lengths = {"inputs": 512, "targets": 64}
    rows = read(seqio, "xtreme_up_in_seqio.as.plain", sequence_length=lengths)
    assert [row["targets_pretokenized"].decode() for row in rows] == ["the valley of the Marn", "4,000"]
