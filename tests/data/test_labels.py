import pytest
from rows import example

from fiat_jax.data.labels import encode_labels, right_labels
from fiat_jax.data.pipeline import load_examples
from fiat_jax.errors import ConfigError, DataError


def test_a_label_is_what_a_target_of_its_text_is(make_task):
    rows = [example("1", answer="who"), example("2", answer="the book"), example("3", answer="who")]
    task, labels = make_task(test=rows), ("the book", "who")
    examples = load_examples(task, "plain", "test")
    assert right_labels(examples, task, labels).tolist() == [1, 0, 1]
    assert encode_labels(task, labels)[1] == examples.targets[0].tolist()


def test_a_target_that_is_no_label_is_named(make_task):
    task = make_task(test=[example("1", answer="who"), example("2", answer="the")])
    with pytest.raises(DataError, match=r"example 2: .* labels 'who', 'book', found 'the'"):
        right_labels(load_examples(task, "plain", "test"), task, ("who", "book"))


@pytest.mark.parametrize("label", ["ẹ̀ {x}", "who  wrote", "who\nwrote"])
def test_a_label_that_the_vocabulary_cannot_write_is_refused(make_task, label):
    with pytest.raises(ConfigError, match=r"Rank.labels: .* comes back as"):
        encode_labels(make_task(test=[example("1")]), ("who", label))


def test_a_label_longer_than_a_target_may_be_is_refused(make_task):
    with pytest.raises(DataError, match=r"Rank.labels: expected a target of at most 3 tokens, found \d+"):
        encode_labels(
            make_task(test=[example("1")], targets_length=3), ("who", "question: who wrote the book?")
        )
