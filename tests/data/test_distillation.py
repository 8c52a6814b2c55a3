"""Labels and rationales as two tasks of one model: what is read and written, and what each weighs."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from rows import example

from fiat_jax.data import TrainBatches, load_examples, load_tokens, register
from fiat_jax.data.distillation import DistillationBatches
from fiat_jax.data.rendering import render
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.training import cross_entropy

TRAIN = [
    example(f"{one}-{i}", one, answer="Chinua " * i + "Achebe") for one in ("hau", "ibo") for i in range(5)
]
RATIONALES = {row["id"]: f"The  passage names\thim in {row['id']}." for row in TRAIN}
TEMPLATE = Template(explanation="The reasoning:")


@pytest.fixture
def task(make_task):
    return make_task(RATIONALES, template=TEMPLATE, train=TRAIN, test=[example("new")], languages=())


@pytest.fixture
def both(task):
    return load_examples(task, "distillation", "train"), load_examples(task, "explanation", "train")


def test_the_label_is_learned_as_the_instruction_variant_has_it_and_the_rationale_by_another_instruction(
    task,
):
    labels, instructed, explained = (
        list(render(task, reading, "train")) for reading in ("distillation", "instruction", "explanation")
    )
    assert labels == instructed
    assert explained[0].input == f"The reasoning: {TEMPLATE.compose('plain', task.filling(TRAIN[0]))}"
    assert [one.target for one in explained[:2]] == [
        "The passage names him in hau-0.", "The passage names him in hau-1.",
    ]  # fmt: skip


def test_only_examples_that_are_learned_need_a_rationale(task):
    assert len(load_examples(task, "distillation", "test")) == 1
    with pytest.raises(DataError, match="found none for 'new'"):
        load_examples(task, "explanation", "test")


def test_in_seqio_it_is_a_mixture_of_both_of_which_the_labels_alone_are_scored(make_task):
    from fiat_jax.data.tensorflow import seqio

    task = make_task(RATIONALES, template=TEMPLATE, train=TRAIN, languages=("hau", "ibo"))
    register(task)
    mixture = seqio.get_mixture_or_task(f"{task.name}.distillation")
    scored = {one.name: bool(one.metric_fns) for one in mixture.tasks}
    assert scored == {
        f"{task.name}.{one}.{reading}": reading == "instruction"
        for one in ("hau", "ibo")
        for reading in ("instruction", "explanation")
    }
    lengths = {"inputs": 512, "targets": 64}
    rows = mixture.get_dataset(
        sequence_length=lengths, split="train", shuffle=False, num_epochs=1, copy_pretokenized=True
    )
    targets = [row["targets_pretokenized"].decode() for row in rows.as_numpy_iterator()]
    expected = [row["answer"] for row in TRAIN] + [" ".join(text.split()) for text in RATIONALES.values()]
    assert sorted(targets) == sorted(expected)
    one = seqio.get_mixture_or_task(f"{task.name}.ibo.distillation")
    assert {part.name.split(".", 1)[1] for part in one.tasks} == {"ibo.instruction", "ibo.explanation"}


def test_the_loss_of_a_batch_is_the_weighted_sum_of_the_means_over_either_task(both):
    for step, share in enumerate((0.0, 0.3, 0.5, 1.0)):
        batch = DistillationBatches(*both, 4, seed=1, label_share=share).batch(step)
        random = np.random.default_rng(step)
        logits = random.normal(size=(*batch["targets"].shape, 400)).astype(np.float32)
        sums = cross_entropy(logits, batch["targets"], batch["weights"])
        losses = -np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), batch["targets"][..., None], -1)
        counts = batch["targets"] != 0
        label, rationale = (losses[at::2, :, 0][counts[at::2]].mean() for at in (0, 1))
        np.testing.assert_allclose(
            sums.loss / sums.weight, share * label + (1 - share) * rationale, rtol=1e-5
        )
        np.testing.assert_allclose(sums.weight, counts.sum(), rtol=1e-5)


def test_every_example_stands_in_a_batch_twice_in_the_order_of_its_labels(both):
    labels, explanations = both
    batches, plain = DistillationBatches(*both, 4, seed=7), TrainBatches(labels, 4, seed=7)
    batch = batches.batch(5)
    assert batches.rows_of(0) == len(batch["inputs"]) == 8
    assert (batches.rows(5) == plain.rows(5)).all()
    for at, row in enumerate(batches.rows(5)):
        for place, one in ((2 * at, labels), (2 * at + 1, explanations)):
            for name in ("inputs", "targets"):
                ids = batch[name][place]
                assert ids[ids != 0].tolist() == getattr(one, name)[row].tolist()
    assert batches.tokens(5) == sum((batch[name] != 0).sum() for name in ("inputs", "targets"))


def test_a_host_makes_its_own_rows_as_they_are_in_the_whole(both):
    batches, own = DistillationBatches(*both, 4, seed=0, label_share=0.2), np.array([1, 4, 6])
    whole, part = batches.batch(2), batches.batch(2, own)
    for name in ("inputs", "targets", "weights"):
        np.testing.assert_array_equal(part[name], whole[name][own])


def test_what_cannot_be_distilled_is_refused(make_task, both):
    with pytest.raises(ConfigError, match="share from 0 to 1, found 2"):
        DistillationBatches(*both, 4, seed=0, label_share=2)
    with pytest.raises(ConfigError, match=r"Template\.explanation: expected another text"):
        Template(instruction="Do.", explanation="Do.")
    task = make_task(train=TRAIN, template=TEMPLATE)
    with pytest.raises(ConfigError, match=r"found 'distillation'; set Task\.rationales"):
        list(render(task, "distillation", "train"))


def test_a_rationale_is_never_cut_to_be_learned(make_task):
    long = {row["id"]: "The passage names him. " * 40 for row in TRAIN}
    task = make_task(long, template=TEMPLATE, train=TRAIN)
    with pytest.raises(DataError, match=r"hau-0: expected a target of at most 64 .* Task\.targets_length"):
        load_examples(task, "explanation", "train")


def test_an_explanation_that_the_vocabulary_cannot_write_matters_only_where_it_is_read(make_task):
    task = make_task(RATIONALES, template=Template(explanation="\u0e2a"), train=TRAIN)
    assert load_tokens(task.vocabulary).unk_id in load_tokens(task.vocabulary).encode("\u0e2a")
    list(render(task, "fiat", "train"))
    with pytest.raises(ConfigError, match=r"Template\.explanation: expected words"):
        list(render(task, "explanation", "train"))


def test_of_an_example_without_a_rationale_the_label_is_learned_alone_or_it_is_left_out(make_task):
    some = {id: text for id, text in RATIONALES.items() if id.startswith("ibo")}
    task = make_task(some, template=TEMPLATE, train=TRAIN, without_rationale="no_rationale")
    labels, explanations = (
        load_examples(task, reading, "train") for reading in ("distillation", "explanation")
    )
    assert len(labels) == 10 and len(explanations) == 5
    batches = DistillationBatches(labels, explanations, 10, seed=0)
    batch, rows = batches.batch(0), batches.rows(0)
    counted = (batch["weights"] > 0).any(1)
    assert counted[::2].all()
    assert counted[1::2].tolist() == [labels.ids[row].startswith("ibo") for row in rows]
    halves = [batch["weights"][at::2].sum() for at in (0, 1)]
    np.testing.assert_allclose(halves[0], halves[1], rtol=1e-5)
    left = replace(task, name="left", without_rationale="leave_out")
    assert load_examples(left, "distillation", "train").ids == explanations.ids
    with pytest.raises(DataError, match="found none for 'hau-0'"):
        load_examples(replace(task, name="refused", without_rationale="refuse"), "distillation", "train")
