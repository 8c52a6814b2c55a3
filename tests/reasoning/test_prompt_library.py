"""The prompts that come with the package."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from fiat_jax.reasoning import Prompt
from fiat_jax.reasoning.overlap import Sketch, overlap
from fiat_jax.reasoning.parsing import parse
from fiat_jax.reasoning.prompt_files import LIBRARY, prompt_names
from fiat_jax.reasoning.quality import holds
from fiat_jax.records import template_fields

GOLDEN = Path(__file__).parents[1] / "golden" / "prompt_afriqa.json"
TASKS = {
    "xor_attriqa",
    "xtreme_up_cross_lingual",
    "xtreme_up_in_language",
    "afriqa",
    "xquad",
    "tydiqa_goldp",
    "gsm8k",
    "mgsm",
    "strategyqa",
    "esnli",
    "commonsenseqa",
    "aqua",
    "extractive_qa",
    "classification",
    "generation",
    "numeric",
}
LABELS = {"answer", "answers", "ais", "target", "label", "rationale", "answerKey", "gold_label", "correct"}
NUMBERS = {"gsm8k", "mgsm", "numeric"}
CHOICES = {
    "xor_attriqa": {"true", "false"},
    "strategyqa": {"yes", "no"},
    "esnli": {"entailment", "neutral", "contradiction"},
    "aqua": set("ABCDE"),
}


def test_there_is_a_prompt_for_each_task() -> None:
    assert set(prompt_names()) == TASKS


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_prompt_renders_and_its_exemplars_parse_to_their_answers(name: str) -> None:
    prompt = Prompt(file=name)
    fields = template_fields(prompt.input)
    assert fields and not LABELS & set(fields)
    exemplars = prompt.worked(LABELS)
    assert len(exemplars) >= 3
    for row, exemplar in zip(prompt.exemplars, exemplars, strict=True):
        parsed = parse(exemplar.rationale, prompt.marker)
        assert (parsed.answer, parsed.repaired, parsed.reasoning) == (row["answer"], False, row["rationale"])
    for language in dict.fromkeys(one.language for one in exemplars):
        example = {"id": "x", "language": language} | {field: f"<{field}>" for field in fields}
        for form, last in (("chat", "user"), ("completion", "user")):
            (request,) = Prompt(file=name, form=form).requests([example], exemplars, "test")
            assert request.messages[-1]["role"] == last
            assert all(f"<{field}>" in request.messages[-1]["content"] for field in fields)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_answers_are_of_the_kind_that_is_asked_for(name: str) -> None:
    for row in Prompt(file=name).exemplars:
        answer, fields = row["answer"], row["fields"]
        if "context" in fields:
            assert answer == "No Answer" or answer in fields["context"]
        if name in NUMBERS:
            assert holds(row["rationale"], answer)
        for key in ("choices", "labels"):
            if key in fields:
                assert answer in fields[key].split(", ")
        assert answer in CHOICES.get(name, {answer})


@pytest.mark.parametrize("name", sorted(TASKS & {"gsm8k", "mgsm", "numeric", "aqua"}))
def test_every_calculation_of_an_exemplar_is_right(name: str) -> None:
    equations = 0
    for row in Prompt(file=name).exemplars:
        for text in (row["rationale"], row.get("own_rationale", "")):
            for left, right in re.findall(r"(\d[\d. */+-]*\d) = (\d+(?:\.\d+)?)(?![\d*/]| [*/+-] \d)", text):
                if re.search(r"[*/+-]", left):
                    equations += 1
                    assert _value(left) == pytest.approx(float(right)), (left, right)
    assert equations >= 5


def _value(expression: str) -> float:
    """A sum of products, without brackets."""
    total = 0.0
    for term in re.findall(r"[+-]?[^+-]+", expression.replace(" ", "")):
        sign, product = (-1, term[1:]) if term[0] == "-" else (1, term.lstrip("+"))
        value = 1.0
        for operator, number in re.findall(r"(^|[*/])([\d.]+)", product):
            value = value / float(number) if operator == "/" else value * float(number)
        total += sign * value
    return total


def test_no_two_exemplars_of_a_prompt_are_alike() -> None:
    for name in TASKS:
        for one, other in combinations(Prompt(file=name).exemplars, 2):
            assert overlap(Sketch(one["fields"]), Sketch(other["fields"])) < 0.6, (name, one, other)


def test_what_is_written_in_own_words_of_a_language_is_used_when_asked() -> None:
    for name in ("mgsm", "xtreme_up_in_language"):
        for row, exemplar in zip(
            Prompt(file=name).exemplars, Prompt(file=name, reason_in="input").worked(), strict=True
        ):
            own = row.get("own_rationale") or row["rationale"]
            assert exemplar.rationale.startswith(own)
            assert (row["language"] == "en") == (own == row["rationale"])


def test_files_name_themselves() -> None:
    for path in LIBRARY.glob("*.toml"):
        assert f'name = "{path.stem}"\nversion = "' in path.read_text(encoding="utf-8")


def test_the_prompt_of_afriqa_is_what_it_was() -> None:
    prompt = Prompt(file="afriqa")
    assert prompt.template(prompt.worked()).messages == tuple(json.loads(GOLDEN.read_text(encoding="utf-8")))
