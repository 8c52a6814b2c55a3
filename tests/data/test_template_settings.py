"""Templates as gin files set them, and as run folders keep them."""

import re
from pathlib import Path

import pytest

from fiat_jax.config import parse
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError

GIN = """
Template.input = 'question: {question} notes: {notes} context: {context}'
Template.instructions = {'': ('Answer.', 'Read, then answer.'), 'ibo': ('Zaa ajụjụ a.',)}
Template.choice = 'mixed'
Template.cut = ('notes', 'rationale', 'context')
Template.rationale_tokens = 120
Template.verbaliser = {'true': 'yes', 'false': 'no'}
Template.no_answer = 'No Answer'
"""
BEFORE = """
Template.cut = 'context'
Template.explanation = 'Explain.'
Template.input = 'question: {question} context: {context}'
Template.instruction = 'Answer.'
Template.rationale = 'reasoning: {rationale} {input}'
Template.target = '{answer}'
"""
"""What the config.gin of a run has that was tuned before templates had more."""


def test_all_of_a_template_is_set_in_gin_and_comes_back_from_what_is_saved(tmp_path):
    (tmp_path / "mine.gin").write_text(GIN, encoding="utf-8")
    first = parse("Template", [str(tmp_path / "mine.gin")])
    template = first.run()
    assert template.instructions == {"": ("Answer.", "Read, then answer."), "ibo": ("Zaa ajụjụ a.",)}
    assert template.cut == ("notes", "rationale", "context") and template.read("Yes") == "true"
    first.save(tmp_path / "config.gin")
    again = parse("Template", [str(tmp_path / "config.gin")])
    assert (again.run(), again.text) == (template, first.text)


def test_dicts_are_set_on_the_command_line_too():
    bindings = ["Template.verbaliser={'1': 'yes'}", "Template.instructions={'ibo': ['Zaa.', 'Za.']}"]
    template = parse("Template", [], bindings).run()
    assert template == Template(verbaliser={"1": "yes"}, instructions={"ibo": ("Zaa.", "Za.")})


def test_the_settings_that_the_documentation_shows_go_together(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^ {4,}\S.*\n)+", page, re.MULTILINE)
    shown = [re.sub(r"^ {4,8}", "", block, flags=re.MULTILINE) for block in blocks if "Template." in block]
    assert len(shown) == 4
    notes = "Template.input = 'question: {question} notes: {notes} context: {context}'\n"
    (tmp_path / "mine.gin").write_text(notes + "".join(shown), encoding="utf-8")
    template = parse("Template", [str(tmp_path / "mine.gin")]).run()
    assert template.instruction_of("a", "hau") == "Ka ba da amsa daga cikin rubutun."
    assert (template.write("1"), template.no_answer, template.cuttable[1]) == (
        "yes",
        "No Answer",
        "rationale",
    )


def test_the_configuration_of_an_older_run_gives_the_template_that_it_was(tmp_path):
    (tmp_path / "config.gin").write_text(BEFORE, encoding="utf-8")
    template = parse("Template", [str(tmp_path / "config.gin")]).run()
    asked = {"input": "question: {question} context: {context}", "instruction": "Answer."}
    assert template == Template(**asked, explanation="Explain.")
    assert template.cuttable == ("context",)


@pytest.mark.parametrize(
    ("binding", "found"),
    [
        ("Template.instructions={'ibo': 'Zaa.'}", r"expected dict\[str, tuple\[str, ...\]\] for"),
        ("Template.verbaliser={1: 'yes'}", r"expected dict\[str, str\] for Template.verbaliser"),
        ("Template.choice=any", "expected 'first' | 'mixed' for Template.choice"),
        ("Template.rationale_tokens=many", r"expected int \| None for Template.rationale_tokens"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_is_expected(binding, found):
    with pytest.raises(ConfigError, match=found):
        parse("Template", [], [binding])
