"""The gin files of docs/reasoners.md are accepted, each beside the README's."""

import re
from pathlib import Path

import pytest

from fiat_jax.config import parse

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reasoners.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(page: str) -> list[str]:
    found = re.findall(r"(?:^    .*\n)+", page, re.MULTILINE)
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in found]


SETTINGS = [block for block in blocks(PAGE) if re.match(r"[\w/]+\.\w+ = ", block)]


@pytest.mark.parametrize("block", SETTINGS)
def test_the_settings_that_the_page_shows_are_accepted(block, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (mine,) = [each for each in blocks(README) if "Task.name = 'mine'" in each]
    Path("mine.gin").write_text(mine, encoding="utf-8")
    Path("page.gin").write_text(block, encoding="utf-8")
    parse("annotate", ["mine.gin", "page.gin"])


def test_the_page_shows_every_client() -> None:
    from fiat_jax.configurables import CLIENTS

    assert all(f"`{name}`" in PAGE and f"annotate.client = @{name}()" in PAGE for name in CLIENTS)


def test_every_link_of_the_page_leads_to_a_file() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", PAGE)
    assert all((ROOT / "docs" / link).exists() for link in links)
