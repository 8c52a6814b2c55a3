"""The look of static pages: one file, no script, no font or picture from elsewhere."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from fiat_jax.study.charts import NARROW, WIDE

_STYLE = """
:root { color-scheme: light dark; --text: #222; --faint: #555; --back: #fff; --box: #f5f5f3; --line: #999 }
@media (prefers-color-scheme: dark) {
  :root { --text: #ddd; --faint: #aaa; --back: #181818; --box: #262626; --line: #777 }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.5rem }
h2 { font-size: 1.15rem; margin-top: 2.2rem }
h3 { font-size: 1rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; margin: .4rem 0 1rem }
td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; overflow-wrap: normal }
td { max-width: 34rem }
th { border-bottom: 1px solid var(--line) }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
svg { display: block; margin: .5rem 0; max-width: 100%; height: auto }
body svg text { font: 12px system-ui, sans-serif; fill: var(--faint) }
body svg .back, body svg .hollow { fill: var(--back) }
body svg .axis { stroke: var(--line) }
body svg .grid { stroke: var(--box) }
body svg .ink { stroke: var(--text); fill: var(--text) }
.narrow { display: none }
pre { background: var(--box); padding: .8rem; overflow-x: auto; font-size: 13px }
@media screen and (max-width: 600px) {
  .wide { display: none }
  .narrow { display: block }
}
@media print {
  :root { color-scheme: light; --text: #000; --faint: #444; --back: #fff; --box: #f5f5f3; --line: #999 }
  body { margin: 0; max-width: none; font-size: 10pt }
  .scroll { overflow: visible }
  h2, h3 { break-after: avoid }
  svg, tr { break-inside: avoid }
}
"""


def write_page(path: Path, title: str, parts: Iterable[str], style: str = "") -> None:
    """Writes a page.

    Args:
      path: of the file.
      title: as text; the heading too.
      parts: HTML, one part after another.
      style: CSS of this page's own.
    """
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style>"
    )
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
    return f'<div class="scroll"><table><tr>{cells("th", head)}</tr>{rows}</table></div>'


def pair(draw: Callable[[float], str]) -> list[str]:
    """A picture twice: as wide as a page, and for phones; one of them is shown.

    Args:
      draw: the picture of a width.
    """
    return [
        f'<div class="{name}">{draw(width)}</div>' for name, width in (("wide", WIDE), ("narrow", NARROW))
    ]
