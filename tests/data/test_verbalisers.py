"""What is written for a label or for no answer, and how it is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import example

from fiat_jax.data.labels import encode_labels, right_labels
from fiat_jax.data.pipeline import load_examples
from fiat_jax.data.rendering import render
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError, DataError

VERBALISER = {"0": "the book", "1": "wrote"}
LABELLED = Template(verbaliser=VERBALISER)

labels = st.text("abAB ", min_size=1, max_size=4)


@given(st.dictionaries(labels, labels, min_size=1, max_size=4), labels)
def test_every_label_is_read_back_from_what_is_written_and_every_other_text_stays(verbaliser, other):
    try:
        template = Template(verbaliser=verbaliser)
    except ConfigError:
        folded = [" ".join(text.casefold().split()) for text in verbaliser.values()]
        assert "" in folded or len(set(folded)) < len(folded)
        return
    assert {template.read(template.write(label)) for label in verbaliser} == set(verbaliser)
    written = {" ".join(text.casefold().split()) for text in verbaliser.values()}
    assert (template.read(other) == other) or " ".join(other.casefold().split()) in written


def test_case_and_white_space_of_what_was_written_do_not_matter():
    assert [LABELLED.read(text) for text in ("The  Book", " wrote\n", "wrote it", "")] == [
        "0",
        "1",
        "wrote it",
        "",
    ]


def test_the_target_is_the_text_and_the_answers_are_the_labels(make_task):
    task = make_task(template=LABELLED, train=[example("a", answer=1), example("b", answer=["0", "1"])])
    first, second = render(task, "plain", "train")
    assert (first.target, first.answers) == ("wrote", ("1",))
    assert (second.target, second.answers) == ("the book", ("0", "1"))
    examples = load_examples(task, "plain", "train")
    assert [task.read(task.tokens().decode(ids)) for ids in examples.targets] == ["1", "0"]


def test_seqio_scores_labels_too(make_task):
    from fiat_jax.data.registry import register
    from fiat_jax.data.tensorflow import seqio

    task = make_task(template=LABELLED, train=[example("a", answer=1)])
    one = seqio.TaskRegistry.get(register(task)[0])
    row = {"answers": [b"1"]}
    assert one.postprocess_fn("wrote", example=row, is_target=False) == "1"
    assert one.postprocess_fn("ignored", example=row, is_target=True) == ["1"]


def test_labels_are_ranked_by_what_is_written_for_them(make_task):
    task = make_task(template=LABELLED, test=[example("a", answer=1), example("b", answer=0)])
    examples = load_examples(task, "plain", "test")
    assert right_labels(examples, task, ("1", "0")).tolist() == [0, 1]
    assert encode_labels(task, ("1", "0"))[0] == examples.targets[0].tolist()
    with pytest.raises(ConfigError, match=r"Rank.labels: .* Template.verbaliser \('0', '1'\), found 'wrote'"):
        encode_labels(task, ("0", "wrote"))


def test_a_label_without_a_text_is_named_by_file_and_line(make_task):
    task = make_task(template=LABELLED, train=[example("a", answer=1), example("b", answer=2)])
    with pytest.raises(
        DataError, match=r"train\.jsonl:2: .*verbaliser \('0', '1'\) in field 'answer', found '2'"
    ):
        list(task.rows("train"))


@pytest.mark.parametrize("nothing", [None, "", " \n", [], [""], [None, ""]])
def test_where_there_is_no_answer_its_text_is_the_only_one(make_task, nothing):
    task = make_task(
        template=Template(no_answer="the answer is: no", target="answer {answer}"),
        train=[example("a", answer=nothing), example("b", answer="who")],
    )
    first, second = render(task, "plain", "train")
    assert (first.target, first.answers) == ("answer the answer is: no", ("the answer is: no",))
    assert second.answers == ("who",)


@pytest.mark.parametrize("nothing", [None, "", " \n", [], [""]])
def test_no_answer_is_an_error_where_nothing_is_to_be_written_for_it(make_task, nothing):
    task = make_task(train=[example("a", answer=nothing)])
    with pytest.raises(
        DataError, match=r"train\.jsonl:1: .*field 'answer', found .*; set Template\.no_answer"
    ):
        list(task.rows("train"))


def test_no_answer_stands_beside_labels(make_task):
    template = Template(verbaliser=VERBALISER, no_answer="who")
    task = make_task(template=template, test=[example("a", answer=0), example("b", answer=None)])
    examples = load_examples(task, "plain", "test")
    assert right_labels(examples, task, ("0", "1", "who")).tolist() == [0, 2]
    assert [task.read(text) for text in ("who", "the book")] == ["who", "0"]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"verbaliser": {"a": "x", "b": "X "}}, "Template.verbaliser: expected texts that differ"),
        ({"verbaliser": {"a": " "}}, "Template.verbaliser: .* none empty"),
        (
            {"verbaliser": {"a": "x"}, "target": "answer: {answer}"},
            "Template.target: expected '{answer}' beside",
        ),
        ({"verbaliser": {"a": "x"}, "no_answer": "x"}, "Template.no_answer: .* neither a label nor"),
        ({"verbaliser": {"a": "x"}, "no_answer": "a"}, "Template.no_answer: .* neither a label nor"),
        ({"no_answer": " "}, "Template.no_answer: expected a text, or None"),
    ],
)
def test_what_could_not_be_read_back_is_refused(changed, found):
    with pytest.raises(ConfigError, match=found):
        Template(**changed)
