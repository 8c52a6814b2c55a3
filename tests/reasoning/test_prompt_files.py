"""Prompts from TOML files: how they are read and rendered, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning import OpenAI, Prompt
from fiat_jax.reasoning.calls import digest
from fiat_jax.reasoning.prompt_files import read_prompt

FILE = """
name = "tiny"
version = "2"
task = "a test"
instruction = "Think."
input = "Q: {question}"

[output]
answer = "So:"

[[exemplars]]
language = "en"
rationale = "One and one."
answer = "2"
[exemplars.fields]
question = "1+1?"

[[exemplars]]
id = "train-7"
language = "de"
rationale = "Two and two."
own_rationale = "Zwei und zwei."
answer = "4"
[exemplars.fields]
question = "Zwei plus zwei?"
"""
ROW = {"id": "x", "question": "3+3?", "language": "de", "answer": "LABEL"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def ask(prompt: Prompt, row: dict[str, Any] = ROW, split: str = "test") -> Any:
    return next(prompt.requests([row], prompt.worked(["answer"]), split))


def turns(prompt: Prompt, **fields: str) -> list[str]:
    return [message["content"] for message in ask(prompt, ROW | fields).messages]


def test_a_file_becomes_a_chat_with_marker_and_answer_after_each_rationale(file: Path) -> None:
    assert ask(Prompt(file=str(file))).messages == (
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "Q: 1+1?"},
        {"role": "assistant", "content": "One and one. So: 2"},
        {"role": "user", "content": "Q: Zwei plus zwei?"},
        {"role": "assistant", "content": "Two and two. So: 4"},
        {"role": "user", "content": "Q: 3+3?"},
    )


def test_a_completion_is_one_text_that_ends_where_the_model_goes_on(file: Path) -> None:
    request = ask(Prompt(file=str(file), form="completion"))
    assert request.messages == (
        {
            "role": "user",
            "content": "Think.\n\n###\n\nQ: 1+1?\nReasoning: One and one. So: 2\n\n###\n\n"
            "Q: Zwei plus zwei?\nReasoning: Two and two. So: 4\n\n###\n\nQ: 3+3?\nReasoning:",
        },
    )
    assert OpenAI("m").payload(request)["stop"] == ["###"]


def test_what_is_set_beside_a_file_stands_in_the_place_of_what_it_says(file: Path) -> None:
    prompt = Prompt(file=str(file), instruction="Be brief.", marker="Answer:", exemplars_in="same")
    assert turns(prompt) == ["Be brief.", "Q: Zwei plus zwei?", "Two and two. Answer: 4", "Q: 3+3?"]


def test_exemplars_are_chosen_by_language(file: Path) -> None:
    def shown(language: str, **settings: Any) -> list[str]:
        return turns(Prompt(file=str(file), **settings), language=language)[1:-1:2]

    assert shown("de", exemplars_in="same") == ["Q: Zwei plus zwei?"]
    assert shown("fr", exemplars_in="same", pivot="en") == ["Q: 1+1?"]
    assert shown("de", exemplars_in="pivot", pivot="en") == ["Q: 1+1?"]
    assert shown("fr") == ["Q: 1+1?", "Q: Zwei plus zwei?"]
    with pytest.raises(DataError, match=r"'x': expected exemplars in its language 'fr', found only en, de;"):
        shown("fr", exemplars_in="same")
    with pytest.raises(ConfigError, match=r"Prompt\.pivot: expected the language"):
        Prompt(file=str(file), exemplars_in="pivot")


def test_a_training_example_that_is_the_one_exemplar_of_its_language_sees_none(file: Path) -> None:
    prompt = Prompt(file=str(file), exemplars_in="same")
    row = {"id": "train-7", "question": "Zwei plus zwei?", "language": "de"}
    assert [turn["role"] for turn in ask(prompt, row, "train").messages] == ["system", "user"]


def test_reasoning_in_the_inputs_language_has_exemplars_that_do(file: Path) -> None:
    said = turns(Prompt(file=str(file), reason_in="input"))
    assert said[0] == "Think. Write the reasoning in the language of the question."
    assert said[4] == "Zwei und zwei. So: 4"
    file.write_text(FILE.replace("own_rationale = ", "# "), encoding="utf-8")
    with pytest.raises(DataError, match=r"exemplar 'train-7' in de: .*expected a field 'own_rationale'"):
        Prompt(file=str(file), reason_in="input").worked()


def test_prompts_that_ask_otherwise_are_told_apart_by_their_templates(file: Path) -> None:
    different: list[dict[str, Any]] = [
        {},
        {"form": "completion"},
        {"form": "completion", "stop": "%%%"},
        {"reason_in": "English"},
        {"exemplars_in": "same"},
        {"exemplars_in": "same", "pivot": "en"},
        {"exemplars_in": "pivot", "pivot": "en"},
        {"marker": "Answer:"},
    ]
    prompts = [Prompt(file=str(file), **settings) for settings in different]
    hashes = {digest(OpenAI("m").payload(prompt.template(prompt.worked()))) for prompt in prompts}
    assert len(hashes) == len(different)


def test_the_hash_of_a_prompt_without_a_file_is_what_it_was_before_there_were_files() -> None:
    prompt = Prompt("Q: {question}", "Think.", ({"id": "a", "question": "b?", "rationale": "since"},))
    template = prompt.template(prompt.worked())
    assert template.messages == prompt.messages(prompt.worked(), prompt.input)
    assert digest(OpenAI("m").payload(template)) == PINNED


PINNED = "995ddb136cbcc18d7c99a8418279acce43e729f9b0e473280df0f71db04f2802"


def test_a_row_that_brings_its_answer_is_shown_without_it() -> None:
    rows = ({"question": "b?", "rationale": "since", "answer": "LABEL"},)
    assert "LABEL" not in str(ask(Prompt("{question}", exemplars=rows), {"id": "x", "question": "c?"}))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "2"', "", r"expected text as version, found nothing"),
        ('version = "2"', "version = 2", r"expected text as version, found 2"),
        ('version = "2"', 'vresion = "2"', r"vresion is not known; did you mean 'version'\?"),
        ('answer = "So:"', 'anwser = "So:"', r"output\.anwser is not known; did you mean 'answer'\?"),
        ('[output]\nanswer = "So:"', 'output = "So:"', r"expected a table as output, found 'So:'"),
        (
            "[output]",
            '[language]\nreason = "German"\n[output]',
            r"expected 'English' or 'input' as language\.reason",
        ),
        (
            "[output]",
            '[language]\npivot = "fi"\n[output]',
            r"expected the language of an exemplar as language\.pivot",
        ),
        ('question = "1+1?"', "", r"expected text as exemplars\[1\]\.fields\.question, found nothing"),
        (
            'question = "Zwei',
            'frage = "Zwei',
            r"exemplars\[2\]\.fields\.frage is not known; known are question",
        ),
        ('answer = "4"', 'answer = ""', r"expected text as exemplars\[2\]\.answer, found ''"),
        ('answer = "4"', "answer = 4", r"expected text as exemplars\[2\]\.answer, found 4"),
        ('rationale = "Two and two."', "", r"expected text as exemplars\[2\]\.rationale, found nothing"),
        ("exemplars", "exemplar", r"exemplar is not known; did you mean 'exemplars'\?"),
        ("Q: {question}", "Q: {question.x}", r"input: template .* found a stray"),
        ('name = "tiny"', "name = tiny", r"expected TOML, but .*line 2"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_field(file: Path, old: str, new: str, message: str) -> None:
    file.write_text(FILE.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        Prompt(file=str(file))
    assert str(caught.value).startswith(str(file))


def test_a_file_that_is_not_there_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r"none at 'afirqa' .*did you mean 'afriqa'\?"):
        read_prompt("afirqa")
    with pytest.raises(ConfigError, match=r"expected an input or a file, found neither"):
        Prompt()


def test_a_file_that_reads_the_label_is_a_leak(file: Path) -> None:
    file.write_text(FILE.replace("{question}", "{gold}").replace("question =", "gold ="), encoding="utf-8")
    with pytest.raises(DataError, match="found 'gold'"):
        Prompt(file=str(file)).worked(["gold"])


def test_values_of_a_file_are_no_templates(file: Path) -> None:
    file.write_text(FILE.replace("1+1?", "{answer} {0}"), encoding="utf-8")
    assert turns(Prompt(file=str(file)))[1] == "Q: {answer} {0}"
