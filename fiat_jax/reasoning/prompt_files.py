"""Prompts as versioned TOML files: read, checked to the last field, and never run.

Those in `library/` come with the package and are known by their names.
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fiat_jax.errors import ConfigError, did_you_mean
from fiat_jax.paths import at, reason
from fiat_jax.records import template_fields

LIBRARY = Path(__file__).parent / "library"

_TEXTS = ("name", "version", "task", "instruction", "input")
_TABLES = {
    "output": {"rationale": "cue", "answer": "marker", "stop": "stop"},
    "language": {"reason": "reason_in", "exemplars": "exemplars_in", "pivot": "pivot"},
}
"""Keys of the tables, and what they are called in `Prompt`."""
_CHOICES = {"reason": ("English", "input"), "exemplars": ("mixed", "same", "pivot")}
_EXEMPLAR = {"fields", "rationale", "own_rationale", "answer", "language", "id"}


def prompt_names() -> list[str]:
    """The prompts that come with the package."""
    return sorted(path.stem for path in LIBRARY.glob("*.toml"))


def read_prompt(place: str) -> dict[str, Any]:
    """Reads a prompt file.

    Args:
      place: its path, or the name of one that comes with the package.

    Returns:
      What it says, by the names of `Prompt`; exemplars as rows that have their fields apart.

    Raises:
      ConfigError: there is none, or something in it is not as it should be; the message names the field.
    """
    path = LIBRARY / f"{place}.toml" if place in prompt_names() else at(place)
    said = _parse(path, place)
    _known(path, "", said, {*_TEXTS, *_TABLES, "exemplars"})
    found: dict[str, Any] = {name: _text(path, name, said) for name in _TEXTS}
    for table, names in _TABLES.items():
        values = said.get(table, {})
        if not isinstance(values, dict):
            raise _wrong(path, table, "a table", values)
        _known(path, f"{table}.", values, names)
        for key, value in values.items():
            choices = _CHOICES.get(key, ())
            if not isinstance(value, str) or not value or (choices and value not in choices):
                raise _wrong(path, f"{table}.{key}", " or ".join(map(repr, choices)) or "text", value)
            found[names[key]] = value
    found["exemplars"] = _exemplars(path, said.get("exemplars", []), found)
    return {name: value for name, value in found.items() if name not in ("name", "version", "task")}


def _parse(path: Path, place: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"Prompt.file: expected a prompt file or a name, found none at {place!r} ({reason(error)}); "
            f"{did_you_mean(place, prompt_names())}"
        ) from None
    except ValueError as error:  # TOML or UTF-8
        raise ConfigError(f"{path}: expected TOML, but {error}.") from None


def _exemplars(path: Path, rows: Any, prompt: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    try:
        wanted = template_fields(prompt["input"])
    except ConfigError as error:
        raise ConfigError(f"{path}: input: {error}") from None
    if not isinstance(rows, list):
        raise _wrong(path, "exemplars", "a list of tables [[exemplars]]", rows)
    for number, row in enumerate(rows, start=1):
        where = f"exemplars[{number}]."
        if not isinstance(row, dict) or not isinstance(row.get("fields"), dict):
            raise _wrong(path, f"{where}fields", "a table", row)
        _known(path, where, row, _EXEMPLAR)
        needed = {"rationale", "answer"} | (_EXEMPLAR & row.keys()) - {"fields"}
        if prompt.get("exemplars_in", "mixed") != "mixed":
            needed.add("language")
        for key in sorted(needed):
            _text(path, key, row, where)
        _known(path, f"{where}fields.", row["fields"], wanted)
        for field in wanted:
            _text(path, field, row["fields"], f"{where}fields.", empty=True)
    pivot = prompt.get("pivot")
    if pivot and all(row.get("language") != pivot for row in rows):
        raise _wrong(path, "language.pivot", "the language of an exemplar", pivot)
    return tuple(rows)


def _text(path: Path, key: str, table: Mapping[str, Any], where: str = "", empty: bool = False) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not (value.strip() or empty):
        raise _wrong(path, where + key, "text", value)
    return value


def _known(path: Path, where: str, found: Iterable[str], known: Iterable[str]) -> None:
    for key in found:
        if key not in known:
            raise ConfigError(f"{path}: {where}{key} is not known; {did_you_mean(key, known)}")


def _wrong(path: Path, field: str, expected: str, found: Any) -> ConfigError:
    what = "nothing" if found is None else repr(found)[:80]
    return ConfigError(f"{path}: expected {expected} as {field}, found {what}.")
