"""What token ids were made of: settings, rows, rationales and vocabulary, each as something to compare.

Settings are compared one by one, and the rest by hashes of what was read. Rows and rationales are not read
again as long as their files have the sizes and times that they had; nor where there are no such files, as on
a machine that has the token ids alone.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fiat_jax.data.tasks import Task
from fiat_jax.data.vocabularies import find_vocabulary
from fiat_jax.paths import at, size
from fiat_jax.reasoning.store import given_label, open_rationales
from fiat_jax.records import fill

_ELSEWHERE = {"name", "cache", "metrics", "mean_of", "groups", "mixing", "buckets"}
"""Fields of a task that change no token."""

_BY_CONTENT = {"source", "vocabulary", "rationales"}
"""Fields of a task that say where something is."""

_CHUNK = 1 << 20  # bytes of a read

Stamps = dict[str, list[int]]
"""Size and time of files, by path."""


def settings(task: Task) -> dict[str, Any]:
    """All settings of a task that its token ids depend on, by name, as JSON has them."""
    found = {"splits": list(task.splits()), "rationales": bool(task.rationales)}
    for field in dataclasses.fields(task):
        if field.name not in _ELSEWHERE | _BY_CONTENT:
            found |= _flat(field.name, getattr(task, field.name))
    return json.loads(json.dumps(found))


def of_vocabulary(task: Task) -> str:
    """A hash of the file of a vocabulary."""
    file = find_vocabulary(task.vocabulary)
    digest = hashlib.sha256()
    if file is not None:
        with file.open("rb") as read:
            while part := read.read(_CHUNK):
                digest.update(part)
    return digest.hexdigest()


def of_rows(task: Task, split: str) -> str:
    """A hash of the rows of a split as they are read.

    Raises:
      DataError: as `Task.rows`.
    """
    return _digest(task.rows(split))


def of_rationales(task: Task, split: str) -> str:
    """A hash of the rationales of a split's rows, and of which were written from the label.

    Raises:
      DataError: as `Task.rows` and `open_rationales`.
    """
    return _digest(_rationales(task, split))


def _rationales(task: Task, split: str) -> Iterable[Any]:
    opened: dict[str, tuple[Mapping[str, str], set[str]]] = {}
    for row in task.rows(split):
        path = _rationale_file(task, row["language"])
        if path not in opened:
            opened[path] = open_rationales(path), given_label(path)
        texts, marked = opened[path]
        yield row["id"], texts.get(row["id"]), row["id"] in marked


def stamps_of_rows(task: Task, split: str) -> Stamps | None:
    """Of the files of a split, and of exemplars, which the rows are without; None if not all are here."""
    held_out = split == "validation" and bool(task.holdout)
    files = [*task.source.files("train" if held_out else split, task.languages)]
    if not files:
        return None
    if task.prompt is not None and isinstance(task.prompt.exemplars, str):
        files.append(at(task.prompt.exemplars))
    return _stamps(files)


def stamps_of_rationales(task: Task) -> Stamps | None:
    """Of the rationale files; None if not all are here."""
    paths = [at(_rationale_file(task, language)) for language in task.languages or ("",)]
    journals = [path.with_name(f"{path.name}-wal") for path in paths]  # what sqlite has yet to put into them
    return _stamps(dict.fromkeys([*paths, *(path for path in journals if path.exists())]))


def _rationale_file(task: Task, language: str) -> str:
    return fill(task.rationales or "", {"language": language})


def _stamps(files: Iterable[Path]) -> Stamps | None:
    files = list(files)
    if not all(file.is_file() for file in files):
        return None
    return {str(file): [size(file), int(1000 * _changed(file))] for file in files}


def _changed(file: Path) -> float:
    found: Any = file.stat()
    return found.st_mtime if hasattr(found, "st_mtime") else found.mtime


def _digest(items: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for item in items:
        digest.update(json.dumps(item, sort_keys=True, default=repr).encode() + b"\n")
    return digest.hexdigest()


def _flat(name: str, value: Any) -> dict[str, Any]:
    """A setting, or those that it is made of, by name."""
    if dataclasses.is_dataclass(value):
        found = {name: type(value).__name__}
        for field in dataclasses.fields(value):
            found |= _flat(f"{name}.{field.name}", getattr(value, field.name))
        return found
    if isinstance(value, Mapping):
        return {name: [[str(key), _plain(one)] for key, one in sorted(value.items())]}
    return {name: _plain(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | None) else repr(value)
