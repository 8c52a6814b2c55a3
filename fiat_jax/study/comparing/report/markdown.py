"""A report as Markdown, with links to its pictures."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fiat_jax.records import write_whole
from fiat_jax.study.comparing.report.blocks import (
    Block,
    Code,
    Example,
    Heading,
    Items,
    Picture,
    Section,
    Table,
    Text,
)

PICTURES = "pictures"
"""The folder of the pictures, beside the report."""

_SPECIAL = re.compile(r"([\\`*_\[\]|#~])")
_HTML = (re.compile(r"&(?=[\w#])"), "&amp;"), (re.compile(r"<(?=\S)"), "&lt;")


def write_markdown(path: Path, title: str, sections: Iterable[Section]) -> None:
    """Writes the file."""
    parts = [f"# {_plain(title)}", *(part for section in sections for part in _section(section))]
    write_whole(path, "\n\n".join(parts) + "\n")


def _section(section: Section) -> Iterator[str]:
    if section.title:
        yield f"## {_plain(section.title)}"
    for block in section.blocks:
        yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text(text, strong):
            yield f"**{_plain(text)}**" if strong else _plain(text)
        case Items(sentences):
            yield "\n".join(f"- {_plain(one)}" for one in sentences)
        case Heading(text):
            yield f"### {_plain(text)}"
        case Table():
            if block.title:
                yield f"### {_plain(block.title)}"
            yield _table(block)
        case Picture():
            yield f"![{_plain(block.title)}]({PICTURES}/{block.name}.svg)"
            yield f"{_plain(block.title)}. {_plain(block.note)}".strip()
        case Example(title, texts):
            yield f"### {_plain(title)}"
            yield "\n".join(f"- {_plain(name)}: {_plain(text)}" for name, text in texts)
        case Code(text):
            yield "\n".join(f"    {line}" for line in text.splitlines())


def _table(block: Table) -> str:
    first = len(block.head) - block.numbers
    rule = ["---" if at < first else "---:" for at in range(len(block.head))]
    rows = ["| " + " | ".join(map(_cell, row)) + " |" for row in (block.head, *block.rows)]
    return "\n".join([rows[0], f"| {' | '.join(rule)} |", *rows[1:]])


def _cell(text: str) -> str:
    return "<br>".join(map(_plain, text.split("\n")))


def _plain(text: str) -> str:
    """Text that Markdown takes as it is, in one line."""
    text = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    for found, written in _HTML:
        text = found.sub(written, text)
    return text
