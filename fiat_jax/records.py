"""Rows of text: read from JSON lines, and filled into templates that cannot run code."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fiat_jax.errors import ConfigError, DataError

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read_jsonl(path: str | Path, required: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Yields the rows of a JSON-lines file in order; blank lines are passed over.

    Args:
      path: the file, UTF-8.
      required: fields that every row must have.

    Raises:
      DataError: the file is absent, a line is not a JSON object, or a row lacks a required field; the
        message names the file and the line.
    """
    path = Path(path)
    try:
        lines = path.open(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: expected a JSON-lines file, but {error.strerror}; check the path.") from None
    with lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _row(line, required, f"{path}:{number}")


def _row(line: str, required: tuple[str, ...], where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: expected one JSON object on the line, found broken JSON ({error}).") from None
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a JSON object, found {type(row).__name__}.")
    for field in required:
        if field not in row:
            found = ", ".join(map(repr, row)) or "no field"
            raise DataError(f"{where}: expected a field {field!r}, found {found}; add it or name another field.")
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
    """Puts fields into the {names} of a template. Values are never read as templates themselves.

    Raises:
      DataError: a name of the template is not among the fields.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in fields:
            raise DataError(
                f"template {template!r}: expected a field {name!r}, found {', '.join(map(repr, fields)) or 'none'}."
            )
        return str(fields[name])

    return _FIELD.sub(value, template)
