"""The look of static pages: one file, no script, no font or picture from elsewhere."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.5rem }
h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse }
td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top }
th { border-bottom: 1px solid #999 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
svg { display: block; margin: .5rem 0 }
svg text { font: 12px system-ui, sans-serif; fill: #555 }
pre { background: #f5f5f3; padding: .8rem; overflow-x: auto; font-size: 13px }
"""


def write_page(path: Path, title: str, parts: Iterable[str]) -> None:
    """Writes a page.

    Args:
      path: of the file.
      title: as text; the heading too.
      parts: HTML, one part after another.
    """
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    body = "\n".join([f"<h1>{escape(title)}</h1>", *parts])
    path.write_text(f"<!doctype html>{head}\n{body}\n", encoding="utf-8")


def table(head: Sequence[str], body: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """A table of text.

    Args:
      head: names of the columns.
      body: rows.
      numbers: how many columns, counted from the last, are set to the right.
    """

    def cells(tag: str, row: Sequence[str]) -> str:
        first = len(row) - numbers
        kinds = [' class="n"' if at >= first else "" for at in range(len(row))]
        return "".join(
            f"<{tag}{kind}>{escape(str(cell))}</{tag}>" for kind, cell in zip(kinds, row, strict=True)
        )

    rows = "".join(f"<tr>{cells('td', row)}</tr>" for row in body)
    return f"<table><tr>{cells('th', head)}</tr>{rows}</table>"
