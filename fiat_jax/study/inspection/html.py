"""An inspection as a static page: marks in colour and in shape, tables, histograms."""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from fiat_jax.study.charts import histogram
from fiat_jax.study.inspection.inspecting import Inspection
from fiat_jax.study.inspection.letters import name_of
from fiat_jax.study.inspection.marks import Marked, Token, Window, runs, shortened
from fiat_jax.study.inspection.tables import Section, Table
from fiat_jax.study.page import table, write_page

WINDOW = Window(400, 60, 80, 20)
_ROWS, _CELL = 500, 300
_STYLE = """
.example { background: var(--box); padding: .8rem 1rem; margin: .4rem 0; border-radius: 4px;
  print-color-adjust: exact; -webkit-print-color-adjust: exact }
.example p { margin: .2rem 0 .7rem; white-space: pre-wrap }
.example b { font-size: .8rem; color: var(--faint); display: block; white-space: normal }
mark, del, ins, .t { color: inherit; background: none; text-decoration: none }
mark.unknown { background: #f2b84b; color: #000; border: 1px solid #000; padding: 0 1px }
mark.gone { white-space: nowrap; border: 1px dashed currentColor; font-size: .75em; padding: 0 2px }
del { text-decoration: line-through; opacity: .6 }
ins { border-bottom: 3px double #2f9673 }
i.skipped { opacity: .6 }
.t { border-bottom: 2px solid #6f8fbd; margin-right: 2px }
.t mark.unknown { border-width: 0 0 0 0; outline: 1px solid currentColor }
.warning, .leak { border-left: 4px solid #b0904a; padding: .3rem .8rem; margin: .5rem 0 }
.leak { border-left: 8px solid #c2542d; font-weight: 600 }
"""


def write_html(path: Path, inspection: Inspection) -> None:
    """Writes the page."""
    parts = [f'<p class="leak">{escape(line)}</p>' for line in inspection.leaks]
    parts += [f'<p class="warning">{escape(line)}</p>' for line in inspection.warnings]
    if inspection.examples:
        parts += ["<h2>As the model reads it</h2>", _LEGEND, *map(_example, inspection.examples)]
    for section in inspection.sections:
        parts += _section(section)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(path, inspection.title, parts, _STYLE)


def _example(marked: Marked) -> str:
    read = marked.read
    cut = f", cut from {read.whole:,}" if read.cut else ""
    head = f"{read.id[:80]} ({marked.why}): {read.length:,} tokens{cut}, {read.unknown:,} unknown"
    parts = [f"<h3>{escape(head)}</h3>", '<div class="example">']
    if read.refused:
        parts.append(f"<p>does not fit: {escape(read.refused)}</p>")
    else:
        shown = shortened(marked.input, WINDOW)
        parts.append(f"<p><b>text</b>{''.join(map(_marked, runs(shown)))}</p>")
        parts.append(f"<p><b>tokens</b>{''.join(map(_token, shown))}</p>")
    target = "".join(map(_marked, runs(shortened(marked.target, WINDOW))))
    return "".join([*parts, f"<p><b>target</b>{target}</p></div>"])


def _token(token: Token) -> str:
    """A token with its border."""
    return _marked(token) if token.kind == "skipped" else f'<span class="t">{_marked(token)}</span>'


def _marked(token: Token) -> str:
    text = escape(name_of(token.text) if token.kind == "gone" else token.text)
    forms = {
        "unknown": f'<mark class="unknown">{text}</mark>',
        "gone": f'<mark class="gone">{text}</mark>',
        "cut": f"<del>{text}</del>",
        "target": f"<ins>{text}</ins>",
        "skipped": f' <i class="skipped">[{text}]</i> ',
    }
    return forms.get(token.kind, text)


_LEGEND = "".join(
    [
        '<p class="example">',
        ", ".join(
            [
                f"{_token(Token('a token', 'kept'))} as it is read",
                f"{_marked(Token('such', 'unknown'))} is unknown to the vocabulary",
                f"{_marked(Token(chr(10), 'gone'))} leaves no trace",
                f"{_marked(Token('such', 'cut'))} is shortened away",
                f"{_marked(Token('such', 'target'))} is to be written",
            ]
        ),
        "</p>",
    ]
)


def _section(section: Section) -> Iterator[str]:
    yield f"<h2>{escape(section.title)}</h2>"
    yield from (f"<p>{escape(note)}</p>" for note in section.notes)
    yield from (histogram(chart.title, chart.counts, chart.step, chart.limit) for chart in section.charts)
    for one in section.tables:
        if one.title:
            yield f"<h3>{escape(one.title)}</h3>"
        yield from _table(one)


def _table(whole: Table) -> Iterable[str]:
    """A table of as many rows and characters as a page should have, and how many rows there are more."""
    rows = [
        [cell if len(cell) <= _CELL else f"{cell[:_CELL]}…" for cell in row] for row in whole.rows[:_ROWS]
    ]
    yield table(whole.head, rows, whole.numbers)
    if len(whole.rows) > _ROWS:
        yield f"<p>{len(whole.rows) - _ROWS:,} rows more.</p>"
