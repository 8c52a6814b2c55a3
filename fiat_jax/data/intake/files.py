"""Tables and JSON lines as people have them: read whole, what is odd is counted, what is broken is named."""

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, Literal

from fiat_jax.errors import DataError
from fiat_jax.paths import at, reason
from fiat_jax.records import converting, numbered_rows, seeming_encoding

Rows = list[dict[str, Any]]
Quoting = Literal[0, 3]
"""csv.QUOTE_MINIMAL or csv.QUOTE_NONE."""

_SEPARATORS = ",;\t|"
_NO_LETTERS = bytes(code for code in range(256) if not chr(code).isalpha())
_FOREIGN = 0.2
"""The share of letters beyond ASCII above which a text is not one in a western European encoding."""


def read_rows(place: str) -> tuple[Rows, list[str]]:
    """The rows of a file that hold anything, and notes on what was odd about it.

    Args:
      place: a .csv, .tsv, .jsonl, .ndjson or .json file.

    Raises:
      DataError: it is absent, of another kind, in an unknown encoding, or broken; the message names the line.
    """
    suffix = PurePath(place).suffix.lower()
    if suffix not in (".csv", ".tsv", ".jsonl", ".ndjson", ".json"):
        raise DataError(
            f"{place}: expected a .csv, .tsv, .jsonl or .json file, found {suffix or 'no suffix'!r}; save or "
            "rename it as one of these, a sheet of a workbook as CSV UTF-8."
        )
    try:
        raw = at(place).read_bytes()
    except OSError as error:
        raise DataError(f"{place}: expected a file, found none ({reason(error)}); check the path.") from None
    text, notes = _decoded(raw, place)
    if suffix in (".csv", ".tsv"):
        rows = _table(text, place, "\t" if suffix == ".tsv" else None)
    elif text.lstrip()[:1] == "[":
        rows = _array(text, place)
    else:
        rows = [row for _, row in numbered_rows(io.BytesIO(text.encode("utf-8")), place)]
        rows += [{}] * sum(not line.strip() for line in text.split("\n")[:-1])
    full = [row for row in rows if not all(is_empty(value) for value in row.values())]
    if not full:
        raise DataError(f"{place}: expected rows, found none; check that it is the file you mean.")
    if empty := len(rows) - len(full):
        notes.append(f"{place}: {empty} empty rows left out")
    return full, notes


def is_empty(value: Any) -> bool:
    """Whether a field holds nothing: null, NaN, white space, or only such."""
    if isinstance(value, dict | list):
        return all(map(is_empty, value.values() if isinstance(value, dict) else value))
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _decoded(raw: bytes, place: str) -> tuple[str, list[str]]:
    """A file's text, and a note where it was not plain UTF-8."""
    encoding = seeming_encoding(raw)
    if encoding is None:
        marked = raw.startswith(b"\xef\xbb\xbf")
        return raw.decode("utf-8-sig"), [f"{place}: a byte-order mark taken off"] * marked
    beyond, letters = len(raw.translate(None, bytes(range(128)))), len(raw.translate(None, _NO_LETTERS))
    foreign = beyond > _FOREIGN * letters
    try:
        text = raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        foreign, text = True, ""
    if foreign and not encoding.startswith("UTF"):
        raise DataError(
            f"{place}: expected UTF-8 or UTF-16, found another encoding; {converting(place, 'ENCODING')}, "
            "with its own for ENCODING, such as SHIFT_JIS or WINDOWS-1251."
        )
    if not text:
        raise DataError(f"{place}: expected {encoding} to the end, found it broken; save it as UTF-8.")
    note = f"{place}: read as {encoding}, the copies are UTF-8"
    if not encoding.startswith("UTF"):
        words = re.findall(r"\w*[^\x00-\x7f]\w*", text)
        note += f"; it says {words[0]!r}, and if that is wrong, {converting(place, 'ENCODING')}"
    return text, [note]


def _array(text: str, place: str) -> Rows:
    """The rows of a JSON list of objects."""
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise DataError(f"{place}: expected a JSON list of objects, found broken JSON ({error}).") from None
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(
                f"{place}: expected a JSON list of objects, found {type(row).__name__} as its item {number}."
            )
    return rows


def _table(text: str, place: str, separator: str | None) -> Rows:
    """The rows of a table, by the names in its first line."""
    if separator is None:
        first = text.split("\n", 1)[0]
        separator = max(_SEPARATORS, key=lambda one: len(next(csv.reader([first], delimiter=one), [])))
    try:
        return _by_name(text, place, separator, csv.QUOTE_MINIMAL)
    except DataError:
        if separator != "\t":
            raise
        try:  # many such tables have no quotes, but quotation marks in the text
            return _by_name(text, place, separator, csv.QUOTE_NONE)
        except DataError:
            pass
        raise


def _by_name(text: str, place: str, separator: str, quoting: Quoting) -> Rows:
    lines = _cells(text, place, separator, quoting)
    _, header = next(lines, (1, []))
    names = [cell.strip() or f"column_{at}" for at, cell in enumerate(header, start=1)]
    if len(set(names)) < max(len(names), 2):
        raise DataError(
            f"{place}:1: expected a name of its own for each of two or more columns, found "
            f"{', '.join(names)!r}; give the table a first line of names, and commas, semicolons or tabs "
            "between columns."
        )
    rows = []
    for line, cells in lines:
        while len(cells) > len(names) and not cells[-1].strip():
            cells.pop()
        if cells and len(cells) != len(names):
            raise DataError(
                f"{place}:{line}: expected {len(names)} columns, as in the first line ({', '.join(names)}), "
                f"found {len(cells)}; put text with {_said(separator)} or line breaks in it into quotes."
            )
        rows.append(dict(zip(names, cells, strict=False)))
    return rows


def _cells(text: str, place: str, separator: str, quoting: Quoting) -> Iterator[tuple[int, list[str]]]:
    """The first line number and the cells of each row."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=True)
    line = 1
    with _fields_of_any_size():
        try:
            for cells in reader:
                yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{place}:{line}: expected a row, found quotes that do not close as they should ({error}, "
                f"line {reader.line_num}); write a quote inside quoted text twice."
            ) from None


@contextmanager
def _fields_of_any_size() -> Iterator[None]:
    before = csv.field_size_limit(1 << 30)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _said(separator: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs"}.get(separator, separator)
