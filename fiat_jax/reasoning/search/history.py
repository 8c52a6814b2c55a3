"""The history of a search: one JSON line a score, in order; what it holds is never scored again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fiat_jax.errors import DataError
from fiat_jax.paths import append
from fiat_jax.reasoning.calls import now
from fiat_jax.records import write_whole


class History:
    """A file of entries. A search that goes on walks through what is there before it adds to it.

    Args:
      path: the file; made when the first entry is added. A half-written last line is dropped.

    Attributes:
      entries: those that this search has walked through or added.

    Raises:
      DataError: the file holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[dict[str, Any]] = []
        self._before = _read(path)

    def known(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """The next entry, where it was written before; None where it is new.

        Args:
          fields: what it must hold.

        Raises:
          DataError: it is another.
        """
        if len(self.entries) == len(self._before):
            return None
        entry = self._before[len(self.entries)]
        for name, value in fields.items():
            if entry.get(name) != value:
                raise DataError(
                    f"{self.path}:{len(self.entries) + 1}: expected {name} {value!r} as this search has it, "
                    f"found {entry.get(name)!r}; data or version have changed since: give a new run folder."
                )
        self.entries.append(entry)
        return entry

    def add(self, entry: Mapping[str, Any]) -> None:
        """Adds an entry, with the time; it is in the file when this returns."""
        timed = {**entry, "time": now()}
        append(self.path, json.dumps(timed, ensure_ascii=False) + "\n")
        self._before.append(timed)
        self.entries.append(timed)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_whole(path, whole)
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise DataError(f"{path}: expected the history of a search, found broken JSON ({error}).") from None
