"""A checkpoint folder looked through before anything of it is restored.

Orbax follows links, and tells a broken checkpoint from a whole one only by failing. What is looked at here
is the files and their sizes, the JSON among them, and the index of the arrays, which says where in which file
each part of an array lies; the arrays themselves are not read.
"""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import tensorstore as ts

from fiat_jax.errors import DataError
from fiat_jax.paths import absolute, is_remote, reason, size

METADATA = "_CHECKPOINT_METADATA"
METRICS = "metrics"
_INDEX = "manifest.ocdbt"
_END = "commit_success.txt"
"""What Orbax writes last in a bucket, where a folder cannot be renamed when it is whole."""


class _Flaw(DataError):
    """Something is missing or cut."""


def refuse_links(folder: Path) -> None:
    """Makes sure that whatever is read under a folder lies in it.

    Raises:
      DataError: there is a link, or something that is neither file nor folder.
    """
    if is_remote(folder):  # buckets have no links
        return
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # a run that is still going on has removed it
                continue
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                found = f"a link to {os.readlink(path)}" if stat.S_ISLNK(mode) else "a special file"
                raise DataError(
                    f"{path}: expected files and folders only in a checkpoint, as others may lead out of it, "
                    f"found {found}; if it is to be trusted, copy what it stands for to its place."
                )


def kept_steps(folder: Path) -> list[int]:
    """The steps of the checkpoints that were written to the end, broken ones among them, ascending."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(int(path.name) for path in paths if path.name.isdigit() and path.is_dir() and _ended(path))


def _ended(folder: Path) -> bool:
    return not is_remote(folder) or (folder / _END).exists()


def flaw(folder: Path) -> str | None:
    """What is missing or cut in a checkpoint, as a sentence; None where nothing is."""
    try:
        for part in read_json(folder / METADATA).get("item_handlers") or {}:
            if part == METRICS:
                read_json(folder / METRICS / METRICS)
            elif not (folder / part).is_dir() or Path(part).name != part:
                raise _Flaw(f"{folder / part} is missing.")
            else:
                _check_part(folder / part)
    except _Flaw as error:
        return str(error)
    return None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a checkpoint.

    Raises:
      DataError: it is missing or cut.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise _Flaw(f"{path} cannot be read ({reason(error)}).") from None
    except (ValueError, RecursionError):
        raise _Flaw(f"{path} is cut or changed.") from None
    if not isinstance(value, dict):
        raise _Flaw(f"{path} is not a JSON object.")
    return value


def _check_part(folder: Path) -> None:
    """One tree of arrays."""
    read_json(folder / "_METADATA")
    for path in (folder / "array_metadatas").glob("*"):
        read_json(path)
    try:
        for name, end in _extents(folder):  # each is checked before the index is followed into it
            path = folder / name
            found = size(path) if path.is_file() else None
            if found is None or found < end:
                state = "missing" if found is None else f"cut to {found} of {end} bytes or more"
                raise _Flaw(f"{path} is {state}.")
    except (OSError, ValueError, LookupError):
        raise _Flaw(f"{folder / _INDEX} or what it leads to is cut or changed.") from None


def _extents(folder: Path) -> Iterator[tuple[PurePosixPath, int]]:
    """Each stretch of a file that the index names: the file, and where in it the stretch ends."""
    place = f"{absolute(folder)}/"
    base = ts.KvStore.open(place if is_remote(folder) else {"driver": "file", "path": place}).result()
    todo = [ts.ocdbt.dump(base).result()["versions"][-1]["root"]]
    while todo:
        for value in todo.pop().values():
            if not isinstance(value, str):
                continue
            kind, place, name, start, length = value.split(":")
            yield PurePosixPath(unquote(place)) / unquote(name), int(start) + int(length)
            if kind != "value":
                todo += ts.ocdbt.dump(base, value).result()["entries"]
