"""Prompt files as gin names them."""

import pytest

from fiat_jax.config import parse
from fiat_jax.errors import ConfigError

TASK = (
    "Task.name=mine",
    "Task.source=@Jsonl()",
    "Task.vocabulary=byte",
    "Jsonl.train=train.jsonl",
    "annotate.client=@OpenAI()",
    "annotate.store=r.sqlite",
    "OpenAI.model=m",
    "Task.prompt=@Prompt()",
)


def test_a_prompt_is_named_in_gin_and_changed_beside_its_file():
    task = parse(
        "annotate", [], [*TASK, "Prompt.file=gsm8k", "Prompt.form=completion", "Prompt.instruction=Solve it."]
    ).arguments["task"]
    assert task.prompt.input == "Problem: {question}" and task.prompt.instruction == "Solve it."
    assert len(task.prompt.worked(task.labels())) == 5 and task.prompt.form == "completion"


@pytest.mark.parametrize(
    ("binding", "reason"),
    [
        ("Prompt.file=gsm9k", "did you mean 'gsm8k'?"),
        ("Prompt.form=text", "'chat' | 'completion'"),
        ("Prompt.alike=0", "Prompt.alike: expected a share above 0"),
    ],
)
def test_what_is_wrong_with_it_is_said_when_it_is_set(binding, reason):
    with pytest.raises(ConfigError) as caught:
        parse("annotate", [], [*TASK, "Prompt.input={question}", binding])
    assert reason in str(caught.value)
