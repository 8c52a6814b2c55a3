"""What the large model is shown, and what it must never be shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning import Prompt, Request

INPUT = "Title: {title}\nQuestion: {question}"
PROMPT = Prompt(
    INPUT, "Think {first}.", ({"id": "t-1", "title": "A", "question": "a?", "rationale": "by a"},)
)
EXAMPLES = [
    {"id": "t-1", "title": "A", "question": "a?", "answer": "LABEL"},
    {"id": "t-2", "title": "B", "question": "b {answer}?", "answer": "LABEL"},
]


def requests(
    prompt: Prompt, split: str = "train", examples: list[dict[str, Any]] = EXAMPLES
) -> list[Request]:
    return list(prompt.requests(examples, prompt.worked(["answer"]), split))


def test_a_chat_is_instruction_exemplars_input_and_values_are_no_templates() -> None:
    assert requests(PROMPT)[1] == Request(
        "t-2",
        (
            {"role": "system", "content": "Think {first}."},
            {"role": "user", "content": "Title: A\nQuestion: a?"},
            {"role": "assistant", "content": "by a"},
            {"role": "user", "content": "Title: B\nQuestion: b {answer}?"},
        ),
    )


def test_without_instruction_and_exemplars_only_the_input_is_left() -> None:
    assert requests(Prompt("{question}"))[0].messages == ({"role": "user", "content": "a?"},)


def test_a_null_field_is_no_text() -> None:
    nameless = {"id": "x", "title": None, "question": "c?"}
    assert requests(PROMPT, examples=[nameless])[0].messages[-1]["content"] == "Title: \nQuestion: c?"


def test_an_exemplar_without_a_rationale_is_refused() -> None:
    with pytest.raises(DataError, match="exemplar 't-9': expected text as 'rationale', found None"):
        Prompt("{question}", exemplars=({"id": "t-9", "question": "a?", "rationale": None},)).worked()


def test_no_label_is_in_any_request() -> None:
    assert "LABEL" not in json.dumps([request.messages for request in requests(PROMPT)])


@pytest.mark.parametrize("field", ["answer", "rationale"])
def test_a_template_that_reads_the_label_or_a_rationale_is_a_leak(field: str) -> None:
    with pytest.raises(DataError, match=f"found '{field}'"):
        requests(Prompt(f"{{question}} {{{field}}}"))


@pytest.mark.parametrize("exemplar", [{"id": "t-1", "question": "x?"}, {"question": "a?"}])
def test_an_exemplar_from_another_split_than_train_is_a_leak_by_id_or_by_text(
    exemplar: dict[str, str],
) -> None:
    prompt = Prompt("{question}", exemplars=(exemplar | {"rationale": "r"},))
    with pytest.raises(DataError, match="found example 't-1' of 'test'"):
        requests(prompt, "test")


def test_a_training_example_that_is_an_exemplar_does_not_see_itself() -> None:
    own, other = requests(PROMPT)
    assert [message["role"] for message in own.messages] == ["system", "user"]
    assert len(other.messages) == 4


def test_exemplars_are_read_from_a_file_and_a_bad_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "exemplars.jsonl"
    good = {"title": "A", "question": "a?", "rationale": "by a"}
    path.write_text(json.dumps(good) + "\n")
    assert Prompt(INPUT, exemplars=str(path)).worked()[0].rationale == "by a"
    path.write_text(json.dumps(good) + "\n\n" + json.dumps({"title": "A", "rationale": "r"}) + "\n")
    with pytest.raises(DataError, match=r"exemplars\.jsonl:3: expected a field 'question'"):
        Prompt(INPUT, exemplars=str(path)).worked()
    path.write_text("")
    with pytest.raises(DataError, match="at least one exemplar"):
        Prompt(INPUT, exemplars=str(path)).worked()


def test_an_example_that_lacks_a_field_is_named() -> None:
    with pytest.raises(DataError, match=r"'x': .*expected a field 'title'"):
        requests(PROMPT, examples=[{"id": "x", "question": "?"}])


def test_templates_have_no_expressions() -> None:
    with pytest.raises(ConfigError):
        requests(Prompt("{question.__class__}"))
