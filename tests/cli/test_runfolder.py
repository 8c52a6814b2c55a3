import json
import sys

import pytest

from fiat_jax.cli.runfolder import environment, start, without_keys
from fiat_jax.config import Configuration
from fiat_jax.errors import ConfigError


def configuration(*lines: str) -> Configuration:
    return Configuration("cook", {}, "".join(f"{line}\n" for line in lines))


FIRST = configuration("# Cook.", "cook.plates = 2", "cook.run_dir = 'runs/a'", "cook.taste = 0.5")
OTHER = configuration("cook.plates = 2", "cook.run_dir = 'runs/b'", "cook.taste = 0.7")


def test_the_same_configuration_goes_on_even_when_its_folder_was_moved(tmp_path):
    start(tmp_path / "a", FIRST)
    (tmp_path / "a" / "metrics.jsonl").write_text('{"step": 1}\n')
    (tmp_path / "a").rename(tmp_path / "b")
    long = "cook.run_dir = \\\n    'a/folder/whose/name/is/so/long/that/gin/breaks/the/line'"
    moved = configuration("cook.plates = 2", long, "cook.taste = 0.5")
    start(tmp_path / "b", moved)
    assert len(json.loads((tmp_path / "b" / "environment.json").read_text())) == 2


def test_another_configuration_in_a_folder_with_results_is_refused_by_its_first_line(tmp_path):
    start(tmp_path, FIRST)
    (tmp_path / "checkpoints" / "10").mkdir(parents=True)
    (tmp_path / "checkpoints" / "10" / "adapter").write_text("weights")
    with pytest.raises(ConfigError) as caught:
        start(tmp_path, OTHER)
    where = f"{tmp_path / 'config.gin'}:4"
    assert f"found 'cook.taste = 0.7' where {where} has 'cook.taste = 0.5'; give another" in str(caught.value)
    assert (tmp_path / "config.gin").read_text() == FIRST.text


def test_a_configuration_that_left_nothing_is_replaced(tmp_path):
    start(tmp_path, FIRST)
    (tmp_path / "metrics.jsonl").touch()
    start(tmp_path, OTHER)
    assert (tmp_path / "config.gin").read_text() == OTHER.text


def test_a_longer_configuration_is_another_one(tmp_path):
    start(tmp_path, FIRST)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match=r"found 'cook\.salt = 1'"):
        start(tmp_path, configuration(*FIRST.text.splitlines(), "cook.salt = 1"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="expected a folder to write a run to"):
        start(tmp_path / "file" / "run", FIRST)


def test_the_environment_says_what_ran_where_and_holds_no_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abcdefghijklmnop")
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    monkeypatch.setattr(sys, "argv", ["fiat", "train", "--gin.OpenAI.base_url=https://me:secret@host/v1"])
    found = environment()
    assert found["packages"]["jax"]
    assert found["devices"]
    assert found["command"] == ["fiat", "train", "--gin.OpenAI.base_url=https://***@host/v1"]
    assert "abcdefgh" not in json.dumps(found)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("https://host/v1?api_key=abc", "https://host/v1?api_key=***"),
        ("--token=abc", "--token=***"),
        ("sk-proj-abcdefghijkl", "sk-***"),
        ("--gin.train.steps=10", "--gin.train.steps=10"),
        ("runs/task-1", "runs/task-1"),
    ],
)
def test_keys_are_made_unreadable(text, wanted):
    assert without_keys(text) == wanted
