"""Fields that templates can name: flat, with plain names, and text or numbers in them."""

import json
import re
from typing import Any

from fiat_jax.data.intake.files import Rows, is_empty

LARGE = 1_000_000
"""Characters of a row above which it is mentioned."""


def flat_rows(rows: Rows) -> tuple[Rows, list[str]]:
    """Rows without nested fields, and notes on what was changed.

    {"answers": {"text": ["a"]}} becomes {"answers_text": ["a"]}, and a list of objects a list for each of
    their fields. What is not a letter, a digit or an underscore in a name becomes an underscore.
    """
    flat = [_flat(row) for row in rows]
    found = dict.fromkeys(name for row in flat for name in row)
    names: dict[str, str] = {}
    for number, name in enumerate(found, start=1):
        names[name] = _plain(name, number, set(names.values()))
    changed = [f"{old} -> {new}" for old, new in names.items() if old != new]
    notes = [f"fields renamed or made flat: {', '.join(changed)}"] * bool(changed)
    return [{names[name]: _value(value) for name, value in row.items()} for row in flat], notes


def oddities(rows: Rows, fields: tuple[str, ...]) -> list[str]:
    """Notes on text in some fields that people are surprised by: line breaks and tabs, and very long rows."""
    notes = []
    for field in fields:
        if broken := sum(bool(re.search(r"[\n\r\t]", str(row.get(field)))) for row in rows):
            notes.append(f"{field}: line breaks or tabs in {broken} rows, which T5 reads as spaces")
    sizes = [len(json.dumps(row, ensure_ascii=False)) for row in rows]
    if large := sum(size > LARGE for size in sizes):
        notes.append(
            f"{large} rows of over {LARGE:,} characters, the longest {max(sizes):,}: kept, and cut to fit "
            "when they are read; see that no rows have run together"
        )
    return notes


def _flat(row: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            value = {
                key: [one.get(key) for one in value] for key in dict.fromkeys(k for v in value for k in v)
            }
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = value
    return flat


def _plain(name: str, number: int, taken: set[str]) -> str:
    """A name that a template can hold, other than those that are taken."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or f"field_{number}"
    plain = f"field_{plain}" if plain[0].isdigit() else plain
    while plain in taken:
        plain += "_2"
    return plain


def _value(value: Any) -> Any:
    """A value without NaN and empty items."""
    if isinstance(value, list):
        return [one for one in value if not is_empty(one)]
    return None if is_empty(value) else value
