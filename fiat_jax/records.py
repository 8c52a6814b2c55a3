"""Rows of text: read from JSON lines, and filled into templates that cannot run code."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from fiat_jax.errors import ConfigError, DataError
from fiat_jax.paths import at, is_remote, reason

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read_jsonl(path: str | Path, required: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Yields the rows of a JSON-lines file in order; see `numbered_jsonl`."""
    for _, row in numbered_jsonl(path, required):
        yield row


def numbered_jsonl(path: str | Path, required: tuple[str, ...] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (line number from 1, row) of a JSON-lines file in order; blank lines are passed over.

    Args:
      path: the file, UTF-8.
      required: fields that every row must have.

    Raises:
      DataError: the file is absent or not UTF-8, a line is not a JSON object, or a row lacks a required
        field; the message names the file and the line.
    """
    with open_jsonl(path) as lines:
        yield from numbered_rows(lines, str(path), required)


def open_jsonl(path: str | Path) -> BinaryIO:
    """Opens a JSON-lines file for reading bytes.

    Raises:
      DataError: the file is absent.
    """
    try:
        return at(path).open("rb")
    except OSError as error:
        raise DataError(f"{path}: expected a JSON-lines file, found none ({reason(error)}).") from None


def numbered_rows(
    lines: Iterable[bytes], name: str, required: tuple[str, ...] = ()
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows of JSON lines that are open already, as `numbered_jsonl` does.

    Args:
      lines: such as a file open for reading bytes.
      name: what errors call it.
      required: fields that every row must have.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, _row(line, required, f"{name}:{number}", name)


def seeming_encoding(text: bytes) -> str | None:
    """What a text that is not UTF-8 seems to be, as iconv calls it; None for UTF-8."""
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    for first, name in ((1, "UTF-16LE"), (0, "UTF-16BE")):  # of Latin letters every second byte is zero
        if text[first::2].count(0) > len(text) // 8:
            return name
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return "WINDOWS-1252"  # Latin-1 and a few marks
    return None


def converting(place: str, encoding: str) -> str:
    """The end of a sentence about a file that is not UTF-8."""
    path = PurePath(place)
    return f"convert it: iconv -f {encoding} -t UTF-8 {place} > {path.with_suffix(f'.utf8{path.suffix}')}"


def not_utf8(where: str, name: str, text: bytes) -> DataError:
    """What is said of text that is not UTF-8.

    Args:
      where: where it stands.
      name: of its file.
      text: it.
    """
    encoding = seeming_encoding(text) or "another encoding"
    return DataError(
        f"{where}: expected UTF-8, found what seems to be {encoding}; {converting(name, encoding)}."
    )


def _row(line: bytes, required: tuple[str, ...], where: str, name: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:  # JSON or UTF-8
        if seeming_encoding(line):
            raise not_utf8(where, name, line) from None
        hint = ""
        if PurePath(name).suffix.lower() in (".csv", ".tsv", ".json"):
            hint = f"; `fiat init --data {name}` makes JSON lines of it"
        raise DataError(f"{where}: expected a JSON object, found broken JSON ({error}){hint}.") from None
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a JSON object, found {type(row).__name__}.")
    for field in required:
        if field not in row:
            found = ", ".join(map(repr, row)) or "no field"
            raise DataError(f"{where}: expected a field {field!r}, found {found}; add it or name another.")
    return row


def template_fields(template: str) -> tuple[str, ...]:
    """The names in braces of a template, in order of first use.

    Raises:
      ConfigError: a brace that does not enclose a plain name; templates have no expressions.
    """
    stray = re.search(r"[{}]", _FIELD.sub("", template))
    if stray:
        raise ConfigError(
            f"template {template!r}: expected only plain names in braces, like {{question}}, "
            f"found a stray {stray.group()!r}."
        )
    return tuple(dict.fromkeys(_FIELD.findall(template)))


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """Puts fields into the {names} of a template; null is no text. Values are never read as templates.

    Raises:
      DataError: a name of the template is not among the fields.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in fields:
            found = ", ".join(map(repr, fields)) or "none"
            raise DataError(f"template {template!r}: expected a field {name!r}, found {found}.")
        return "" if fields[name] is None else str(fields[name])

    return _FIELD.sub(value, template)


def write_whole(path: str | Path, text: str) -> None:
    """Writes a text file in one go: whoever is killed meanwhile leaves the old one or the new one."""
    path = at(path)
    if is_remote(path):
        path.write_text(text, encoding="utf-8")
        return
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
