"""An inspection in a terminal: aligned, within a width, marks in colours or in brackets."""

import itertools
import os
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from fiat_jax.study.inspection.inspecting import Inspection
from fiat_jax.study.inspection.letters import name_of
from fiat_jax.study.inspection.marks import Kind, Marked, Token, Window, runs, shortened
from fiat_jax.study.inspection.tables import Histogram, Section, Table

TEXT, TOKENS = Window(120, 30, 40, 10), Window(24, 8, 12, 2)
_BARS = " ▁▂▃▄▅▆▇█"
_CODES: Mapping[Kind, str] = {
    "unknown": "7;31",  # reversed, so that it is seen without red
    "gone": "7;33",
    "cut": "9;2",
    "target": "1;32",
    "skipped": "3;2",
}
_ALONE = ("unknown", "gone", "skipped")
_LEAST = 10
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def coloured(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours; NO_COLOR says no."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def text(inspection: Inspection, width: int, colours: bool) -> str:
    """All of an inspection.

    Args:
      inspection: what was seen.
      width: columns.
      colours: whether marks are colours; else they are brackets.
    """
    out = [inspection.title, ""]
    for line in (*inspection.leaks, *inspection.warnings):
        loud = line.startswith("LEAK")
        wrapped = textwrap.wrap(safe(line), width, initial_indent="! ", subsequent_indent="  ")
        out += [f"\x1b[1;31m{one}\x1b[0m" if loud and colours else one for one in wrapped]
    out += [""] * bool(inspection.leaks or inspection.warnings)
    for marked in inspection.examples:
        out += [*_example(marked, width, colours), ""]
    if inspection.examples:
        out += [*_legend(width, colours), ""]
    for section in inspection.sections:
        out += [*_section(section, width), ""]
    return "\n".join(line.rstrip() for line in out).rstrip()


def _example(marked: Marked, width: int, colours: bool) -> Iterator[str]:
    read = marked.read
    cut = f", cut from {read.whole:,}" if read.cut else ""
    head = f"{read.id} ({marked.why}): {read.length:,} tokens{cut}, {read.unknown:,} unknown"
    yield clipped(head, width)
    if read.refused:
        yield from textwrap.wrap(safe(f"does not fit: {read.refused}"), width, initial_indent="  ")
    else:
        yield from _block("text", runs(shortened(marked.input, TEXT)), width, colours)
        yield from _block("tokens", _bordered(shortened(marked.input, TOKENS)), width, colours)
    yield from _block("target", runs(shortened(marked.target, TEXT)), width, colours)


def _bordered(tokens: Iterable[Token]) -> Iterator[Token | None]:
    """Tokens with what stands for a border between any two; those of one mark share it."""
    for number, (kind, some) in enumerate(itertools.groupby(tokens, lambda token: token.kind)):
        if number:
            yield None
        texts = [token.text for token in some]
        yield from (Token(one, kind) for one in (texts if kind in _ALONE else ["|".join(texts)]))


def _block(label: str, tokens: Iterable[Token | None], width: int, colours: bool) -> list[str]:
    """Tokens in lines of a width beside their label; None stands for the border of two tokens."""
    hanging, lines, used = 10, [""], 0
    for token in tokens:
        shown = "|" if token is None else _bracketed(token)
        code = _CODES.get(token.kind, "") if token is not None and colours else ""
        if code and token is not None and token.kind not in ("gone", "skipped"):
            shown = token.text
        for part in _breakable(safe(shown)):
            if used + columns(part) > width - hanging:
                part, used = part.lstrip(), 0
                lines.append("")
            lines[-1] += f"\x1b[{code}m{part}\x1b[0m" if code and part else part
            used += columns(part)
    first, *others = lines
    return [f"  {label:<{hanging - 2}}{first}", *(" " * hanging + line for line in others)]


def _bracketed(token: Token) -> str:
    text, kind = token
    if kind == "gone":
        return f"<gone:{name_of(text)}>"
    forms = {"unknown": f"<unk:{text.strip()}>", "cut": f"[cut:{text}]", "skipped": f" (... {text} ...) "}
    return forms.get(kind, text)


def _breakable(text: str) -> Iterator[str]:
    """A text in parts between which a line may end."""
    part = ""
    for character in text:
        if (character == " " and part.strip()) or columns(part) >= 40:
            yield part
            part = ""
        part += character
    if part:
        yield part


def _legend(width: int, colours: bool) -> list[str]:
    said: list[tuple[str, Kind]] = [
        ("such", "unknown"),
        (" is an unknown token, ", "kept"),
        ("\n", "gone"),
        (" leaves no trace, ", "kept"),
        ("such", "cut"),
        (" is shortened away", "kept"),
    ]
    return _block("marks", [Token(*one) for one in said], width, colours)


def _section(section: Section, width: int) -> Iterator[str]:
    yield section.title.upper()
    for note in section.notes:
        yield from textwrap.wrap(safe(note), width)
    for chart in section.charts:
        yield from _bars(chart, width)
    for table in section.tables:
        yield ""
        if table.title:
            yield table.title
        yield from table_lines(table, width)


def _bars(chart: Histogram, width: int) -> Iterator[str]:
    limit = f"; {chart.limit:,} fit, to the left of |" if chart.limit is not None else ""
    yield f"{chart.title}, {chart.step:,} to a bar{limit}"
    first = max(map(len, chart.counts))
    for name, counts in chart.counts.items():
        top = max(counts)
        bars = "".join(_BARS[-(-count * 8 // top)] for count in counts)
        if chart.limit is not None:
            edge = -(-chart.limit // chart.step)
            bars = f"{bars[:edge]}|{bars[edge:]}"
        yield clipped(f"  {name:<{first}}  {bars}", width)


def table_lines(table: Table, width: int) -> list[str]:
    """A table within a width: text to the left, numbers to the right, long text in several lines."""
    rows = [table.head, *table.rows[: table.most]]
    count = len(table.head)
    texts = range(count - table.numbers)
    widths = [max(columns(row[at]) for row in rows) for at in range(count)]
    while sum(widths) + 2 * (count - 1) > width and max(widths[at] for at in texts) > _LEAST:
        widest = max(texts, key=lambda at: widths[at])
        widths[widest] -= 1
    out = []
    for row in rows:
        cells = [_cell(cell, widths[at]) for at, cell in enumerate(row)]
        for line in range(max(map(len, cells))):
            parts = [cell[line] if line < len(cell) else "" for cell in cells]
            padded = [
                part + " " * (widths[at] - columns(part))
                if at in texts
                else " " * (widths[at] - columns(part)) + part
                for at, part in enumerate(parts)
            ]
            out.append("  ".join(padded).rstrip())
    if len(table.rows) > table.most:
        out.append(f"({len(table.rows) - table.most:,} rows more; the page of --output has them)")
    return out


def _cell(text: str, width: int, most: int = 4) -> list[str]:
    """A cell in lines of a width."""
    lines, rest = [""], safe(" ".join(text.split()))
    for word in rest.split(" "):
        while columns(word) > width:
            head = _head(word, width)
            lines, word = [*lines, head] if lines[-1] else [head], word[len(head) :]
        if columns(f"{lines[-1]} {word}".strip()) <= width:
            lines[-1] = f"{lines[-1]} {word}".strip()
        else:
            lines.append(word)
    return lines if len(lines) <= most else [*lines[: most - 1], clipped(f"{lines[most - 1]} …", width)]


def safe(text: str) -> str:
    """A text that a terminal shows and does not obey."""
    return _CONTROLS.sub(" ", text)


def columns(text: str) -> int:
    """How many columns a text takes: two for wide letters, none for marks on letters."""
    if text.isascii():
        return len(text)
    return sum(
        2
        if unicodedata.east_asian_width(one) in "WF"
        else unicodedata.category(one) not in ("Mn", "Me", "Cf")
        for one in text
    )


def _head(text: str, width: int) -> str:
    """The longest beginning of a text within a width, of a character at least."""
    used = 0
    for at, character in enumerate(text):
        used += columns(character)
        if used > width and at:
            return text[:at]
    return text


def clipped(text: str, width: int) -> str:
    """A text within a width; what is gone is shown by a point."""
    text = safe(text)
    return text if columns(text) <= width else f"{_head(text, width - 1)}…"
