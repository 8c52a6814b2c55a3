"""What the documentation tells people to run is there and is accepted."""

import json
import re
import shlex
from pathlib import Path

import pytest

from fiat_jax.cli import main
from fiat_jax.configurables import verbs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:^    .*\n)+", README, re.MULTILINE)
COMMANDS = [line.strip() for block in BLOCKS for line in block.splitlines() if line.startswith("    fiat ")]


@pytest.fixture
def own_data(tmp_path, monkeypatch, capsys):
    """The working directory of someone who follows the README: rows, mine.gin, and a run folder."""
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 21), ("test", 1)):
        rows = ({"id": f"{split}-{n}", "question": "q", "context": "c", "answer": "a"} for n in range(count))
        Path(f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (settings,) = [block for block in BLOCKS if "Task.name = 'mine'" in block]
    Path("mine.gin").write_text(re.sub("^    ", "", settings, flags=re.MULTILINE), encoding="utf-8")
    assert main(["train", "--gin_file", "mine.gin", "--run_dir", "runs/mine", "--dry_run"]) == 0
    Path("runs/mine").mkdir(parents=True)
    Path("runs/mine/config.gin").write_text(capsys.readouterr().out, encoding="utf-8")


def test_the_readme_shows_every_command_but_the_listing():
    assert {command.split()[1] for command in COMMANDS} == set(verbs()) - {"tasks"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_is_accepted(own_data, command, capsys):
    code = main([*shlex.split(command)[1:], "--dry_run"])
    assert code == 0, capsys.readouterr().err


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][\w-]*)", README)) <= targets


def test_every_link_leads_to_a_file():
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links and all((ROOT / link).exists() for link in links)


def test_the_map_of_the_house_names_every_room():
    rooms = {path.name for path in (ROOT / "fiat_jax").iterdir() if path.is_dir() and path.name[0] != "_"}
    assert rooms <= set(re.findall(r"^ +(\w+)/ ", README, re.MULTILINE))
