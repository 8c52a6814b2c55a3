"""`fiat engineer` against a server: what it needs, costs, says and leaves."""

import json
from pathlib import Path

import pytest
from fake_openai import FakeOpenAI

from fiat_jax.cli import main

GIN = """
include 'world.gin'
engineer.client = @OpenAI()
engineer.methods = (@APE(), @OPRO())
engineer.prompt = @Prompt()
OpenAI.model = 'fake'
OpenAI.max_retries = 0
Prompt.input = '{question} {context}'
Prompt.instruction = 'Think.'
APE.candidates = 2
OPRO.steps = 1
Slices.propose = 4
Slices.score = 6
Slices.confirm = 5
Slices.minibatch = 3
"""


@pytest.fixture
def server(world, monkeypatch):
    Path("mine.gin").write_text(GIN)
    with FakeOpenAI() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def engineer(*words):
    return main(["engineer", "--gin_file", "mine.gin", "--run_dir", "run", *words])


def test_a_budget_ends_the_command_with_5_and_a_larger_one_goes_on(server, capsys):
    assert engineer("--gin.engineer.max_calls=7") == 5
    assert "raise max_calls, and the same command goes on" in capsys.readouterr().err
    assert server.answered.total() == 7
    assert engineer("--gin.engineer.max_calls=100", "--gin.engineer.concurrency=2") == 0
    assert "run: nothing that was tried is better than the start" in capsys.readouterr().out
    assert max(server.answered.values()) <= 4  # an input under the start and each instruction
    names = {path.name for path in Path("run").iterdir()}
    assert names >= {"config.gin", "history.jsonl", "history.svg", "report.html", "result.json", "prompt.gin"}
    calls = server.answered.total()
    assert json.loads(Path("run/result.json").read_text())["calls"] == calls
    assert engineer() == 0 and server.answered.total() == calls


def test_what_is_found_is_what_annotate_reads(server):
    assert engineer() == 0
    words = ["--gin.annotate.client=@OpenAI()", "--gin.annotate.prompt=@Prompt()"]
    store = ["--gin.annotate.store=kept.sqlite", "--gin.annotate.splits=('test',)"]
    assert main(["annotate", "--gin_file", "mine.gin", "--gin_file", "run/prompt.gin", *words, *store]) == 0
    assert server.bodies[-1]["messages"][0] == {"role": "system", "content": "Think."}


def test_other_settings_want_another_folder(server, capsys):
    assert engineer("--gin.engineer.max_calls=7") == 5
    assert engineer("--gin.engineer.seed=1") == 2
    assert "expected the configuration of the run that it holds" in capsys.readouterr().err


def test_a_proposer_of_its_own_writes_the_instructions(server):
    scoped = ["--gin.engineer.proposer=@proposer/OpenAI()", "--gin.proposer/OpenAI.model=other"]
    assert engineer(*scoped, "--gin.proposer/OpenAI.temperature=1.0") == 0
    asked = {"<instruction>" in body["messages"][-1]["content"]: body for body in server.bodies}
    assert (asked[True]["model"], asked[True]["temperature"]) == ("other", 1.0)
    assert (asked[False]["model"], asked[False]["temperature"]) == ("fake", 0.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gin.engineer.prompt=None"], "found neither"),
        (["--gin.engineer.experiment=@Experiment()"], "found both"),
    ],
)
def test_one_thing_is_searched_at_a_time(server, capsys, words, said):
    assert engineer(*words) == 2
    assert said in capsys.readouterr().err
    assert server.asked.total() == 0
