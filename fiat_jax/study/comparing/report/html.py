"""A report as a static page."""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

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
from fiat_jax.study.page import pair, table, write_page

_STYLE = """
td, th { white-space: pre-line }
td.n, th.n { white-space: pre }
tr + tr td { border-top: 1px solid var(--box) }
.strong { font-size: 1.15rem; border-left: 4px solid #d55e00; padding-left: .8rem }
figure { margin: 1rem 0 }
figcaption { color: var(--faint); font-size: .9rem }
figcaption b { color: var(--text) }
li { margin: .3rem 0 }
.example { background: var(--box); padding: .2rem 1rem .6rem; margin: .8rem 0; border-radius: 4px;
  break-inside: avoid }
.example dt { font-size: .8rem; color: var(--faint); font-weight: 600; margin-top: .5rem }
.example dd { margin: 0; white-space: pre-wrap }
pre { white-space: pre-wrap }
@media (max-width: 600px) {
  body { padding: 0 .8rem; margin: 1rem auto }
  td, th { padding-right: .6rem; font-size: 14px }
  tr > :first-child:not(:last-child) { position: sticky; left: 0; background: var(--back); min-width: 5.2rem }
}
"""


def write_html(path: Path, title: str, sections: Iterable[Section]) -> None:
    """Writes the page."""
    parts = [part for section in sections for part in _section(section)]
    write_page(path, title, parts, _STYLE)


def _section(section: Section) -> Iterator[str]:
    if section.title:
        yield f"<h2>{escape(section.title)}</h2>"
    for block in section.blocks:
        yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text(text, strong):
            kind = ' class="strong"' if strong else ""
            yield f"<p{kind}>{escape(text)}</p>"
        case Items(sentences):
            yield f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in sentences)}</ul>"
        case Heading(text):
            yield f"<h3>{escape(text)}</h3>"
        case Table():
            if block.title:
                yield f"<h3>{escape(block.title)}</h3>"
            yield table(block.head, block.rows, block.numbers)
        case Picture():
            note = f"<b>{escape(block.title)}.</b> {escape(block.note)}"
            yield f"<figure>{''.join(pair(block.draw))}<figcaption>{note}</figcaption></figure>"
        case Example(title, texts):
            shown = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in texts)
            yield f'<div class="example"><h3>{escape(title)}</h3><dl>{shown}</dl></div>'
        case Code(text):
            yield f"<pre>{escape(text)}</pre>"
