"""Several written instructions a task: whose they are, and which of them an example reads."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import example

from fiat_jax.data.pipeline import load_examples
from fiat_jax.data.rendering import render
from fiat_jax.data.templates import Filling, Template
from fiat_jax.data.unlabelled import encode_input
from fiat_jax.errors import ConfigError, DataError

SEVERAL = {"": ("Answer.", "Answer the question.", "who wrote it?"), "hau": ("Wanne?",)}
MIXED = Template(instructions=SEVERAL, choice="mixed")


def test_a_language_has_its_own_the_others_those_of_all_and_else_the_one_there_is():
    first = Template(instructions=SEVERAL)
    assert [first.instruction_of("a", language) for language in ("hau", "ibo", "")] == [
        "Wanne?",
        "Answer.",
        "Answer.",
    ]
    one = Template(instruction="Do.", instructions={"hau": ("Wanne?",)})
    assert [one.instruction_of("a", language) for language in ("hau", "ibo")] == ["Wanne?", "Do."]


@given(st.text(max_size=20), st.sampled_from(["", "ibo", "new"]))
def test_a_mixed_choice_follows_from_the_id_alone(id, language):
    assert MIXED.instruction_of(id, language) == MIXED.instruction_of(id, "") in SEVERAL[""]


def test_a_mixed_choice_is_the_same_in_another_process_and_spreads_evenly():
    ids = [f"test-{number}" for number in range(600)]
    chosen = [MIXED.instruction_of(id, "") for id in ids]
    assert [SEVERAL[""].index(one) for one in chosen[:6]] == [1, 1, 1, 0, 1, 2]
    counts = Counter(chosen)
    assert counts.keys() == set(SEVERAL[""]) and min(counts.values()) > 160
    code = (
        "from fiat_jax.data.templates import Template\n"
        f"one = Template(instructions={SEVERAL!r}, choice='mixed')\n"
        f"print('|'.join(one.instruction_of(f'test-{{n}}', '') for n in range(600)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other.strip().split("|") == chosen


def test_tuning_evaluation_and_prediction_read_the_same(make_task):
    rows = [example(f"{language}-{n}", language) for language in ("hau", "ibo") for n in range(8)]
    rationales = {row["id"]: f"He wrote {row['id']}." for row in rows}
    task = make_task(rationales, template=MIXED, train=rows, test=rows, languages=("hau", "ibo"))
    tokens = task.tokens()
    tuned = load_examples(task, "fiat", "train")  # through seqio
    for at, (row, train, test) in enumerate(
        zip(rows, render(task, "fiat", "train"), render(task, "fiat", "test"), strict=True)
    ):
        asked = task.unlabelled(row, "x", "x")
        ids, cut = encode_input(task, tokens, "fiat", asked, rationales[row["id"]])
        assert ids.tolist() == tuned.inputs[at].tolist() == [*tokens.encode(test.input), tokens.eos_id]
        assert train.input == test.input and cut == train.cut == tuned.cut[at]
    begun = [one.input.startswith("Wanne? question") for one in render(task, "instruction", "train")]
    assert begun == [row["language"] == "hau" for row in rows]
    assert (
        len({one.input.split(" question: who wrote")[0] for one in render(task, "instruction", "train")}) > 2
    )


def test_a_row_to_be_answered_must_say_its_language_where_instructions_go_by_it(make_task):
    rows = [example("a", "hau")]
    task = make_task(template=MIXED, train=rows, languages=("hau",))
    row = {name: value for name, value in rows[0].items() if name not in ("language", "answer")}
    with pytest.raises(DataError, match="line 3: expected a field 'language', found 'id'"):
        task.unlabelled(row, "line 3", "x")
    with pytest.raises(DataError, match="line 3: expected text in field 'language', found None"):
        task.unlabelled(row | {"language": None}, "line 3", "x")
    other = make_task(name="o", template=Template(instructions={"": ("Answer.",)}), train=rows)
    assert other.unlabelled(row, "line 3", "x")["language"] == ""


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"instructions": {"hau": ()}}, r"Template.instructions: .* for each language, found \(\)"),
        ({"instructions": SEVERAL, "instruction": "Do."}, "Template.instruction: .* found 'Do.'; leave one"),
        ({"choice": "mixed"}, "Template.choice: expected Template.instructions with several texts"),
        ({"instructions": {"hau": ("Do.",)}, "choice": "mixed"}, "Template.choice"),
        ({"instructions": SEVERAL, "explanation": "Answer."}, "Template.explanation: expected another"),
    ],
)
def test_instructions_that_would_not_be_read_are_refused(changed, found):
    with pytest.raises(ConfigError, match=found):
        Template(**changed)


def test_instructions_for_a_language_that_the_task_lacks_are_refused(make_task):
    with pytest.raises(
        ConfigError, match=r"Template.instructions: .* languages of the task \(ibo\), found hau"
    ):
        make_task(template=MIXED, train=[example("a", "ibo")], languages=("ibo",))
    with pytest.raises(ConfigError, match=r"\(it has none\), found hau"):
        make_task(template=MIXED, train=[example("a", "ibo")])


def test_the_explanation_of_distillation_is_one_for_all():
    filling = Filling("a", "hau", {"question": "q", "title": "t", "context": "c"}, "why")
    assert MIXED.compose("explanation", filling).startswith(Template.explanation)
