"""What a preprocessor is, what it reads fields with, and how its rows get ids."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from fiat_jax.data.sources import Row
from fiat_jax.errors import DataError


class Preprocessor(Protocol):
    """Reads the rows of one format, and knows nothing else: one and the same row always gives the same."""

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The flat rows that a row of a source holds, often one.

        Those that have no 'id' are known by what is in them.

        Raises:
          Misfit: the row is not of the format.
        """
        ...


class Misfit(Exception):
    """A row is not of the format: what was expected and what was found, without where."""


def flattened(preprocessor: Preprocessor, rows: Iterable[Row]) -> Iterator[Row]:
    """The flat rows of a source's rows, each with an 'id' and with where it stands.

    An id has the language of the place before it, so that the translations of an example have ids of their
    own. A row that has none is known by a hash of its fields, and by a number where there are several of it.

    Args:
      preprocessor: what reads them.
      rows: of a source.

    Raises:
      DataError: one is not of the format; the message names file and line, and the field.
    """
    seen: Counter[str] = Counter()
    for row in rows:
        try:
            for fields in preprocessor.rows(row.fields):
                id = str(fields["id"]) if "id" in fields else _numbered(_digest(fields), seen, row.language)
                prefix = f"{row.language}-" if row.language else ""
                yield Row(row.where, row.language, {**fields, "id": prefix + id})
        except Misfit as error:
            raise DataError(
                f"{row.where}: {error} (as {type(preprocessor).__name__} reads it); mend the row, or set "
                "another Task.preprocessor."
            ) from None


def find(fields: Mapping[str, Any], name: str) -> Any:
    """The value of a field, or of one within another, as 'question.stem'.

    Raises:
      Misfit: there is none, or it is null.
    """
    value: Any = fields
    for step in name.split("."):
        known = value if isinstance(value, Mapping) else {}
        if known.get(step) is None:
            found = ", ".join(map(repr, known)) or "no field"
            raise Misfit(f"expected a field {name!r}, found {'null there' if step in known else found}")
        value = known[step]
    return value


def text(fields: Mapping[str, Any], name: str) -> str:
    """A field that is text, or a number as text.

    Raises:
      Misfit: it is neither.
    """
    value = find(fields, name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Misfit(f"expected text in field {name!r}, found {value!r}")
    return str(value)


def texts(fields: Mapping[str, Any], name: str) -> list[str]:
    """A field that is a list of texts.

    Raises:
      Misfit: it is none.
    """
    return _list_of(str, "texts", fields, name)


def objects(fields: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A field that is a list of objects.

    Raises:
      Misfit: it is none.
    """
    return _list_of(Mapping, "objects", fields, name)


def truth(fields: Mapping[str, Any], name: str) -> bool:
    """A field that is true or false.

    Raises:
      Misfit: it is neither.
    """
    value = find(fields, name)
    if not isinstance(value, bool):
        raise Misfit(f"expected true or false in field {name!r}, found {value!r}")
    return value


def _list_of(kind: type, what: str, fields: Mapping[str, Any], name: str) -> list[Any]:
    value = find(fields, name)
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise Misfit(f"expected a list of {what} in field {name!r}, found {value!r}")
    return value


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def _numbered(digest: str, seen: Counter[str], language: str | None) -> str:
    """The digest, with a number if there was one like it in the language."""
    key = f"{language} {digest}"
    seen[key] += 1
    return digest if seen[key] == 1 else f"{digest}-{seen[key]}"
