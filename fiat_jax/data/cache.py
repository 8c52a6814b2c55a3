"""A folder with the token ids of every reading and split of a task, read without TensorFlow.

    header.json                what they were made of (see `provenance`), and how many there are
    fiat.train.safetensors     the examples of one reading and split (see `columns`)

It is written whole, in a draft that is then renamed; in a bucket the header comes last. It is read on
machines that may have neither rows nor rationales: what can be compared there is.
"""

import contextlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

from fiat_jax.data import provenance
from fiat_jax.data.columns import columns_of, plain, read_columns, restored, write_columns
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Reading
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.paths import at, copy_file, is_remote, local_copy
from fiat_jax.records import write_whole

T = TypeVar("T")

FORMAT = 1
"""To be raised when this layout changes, or what is rendered and tokenised of the same settings does."""

HEADER = "header.json"
_HEADER_BYTES = 2**24
_REMEDY = "run `fiat cache` with the same settings, or leave Task.cache out"

_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """The examples of a reading and split, or why there are none.

    Attributes:
      reading, split: which.
      examples: a dataclass of sequences and plain values.
      absent: a sentence.
    """

    reading: Reading
    split: str
    examples: Any = None
    absent: str = ""


def write(task: Task, entries: Iterable[Entry], given: Mapping[str, str]) -> None:
    """Writes the cache of a task, in the place of any there is.

    Args:
      task: whose; its `cache` is the folder.
      entries: all that there is of it.
      given: the rationale of each language that was written from the label, as `label_given` names it.

    Raises:
      ConfigError: there is something else in the folder.
      DataError: the rows cannot be read.
    """
    target = _place(task)
    if target.exists() and not (target / HEADER).exists() and any(target.iterdir()):
        raise ConfigError(
            f"Task.cache: expected an empty folder or a cache to write anew, found other files in {target}; "
            "name a folder of its own."
        )
    header: dict[str, Any] = {
        "format": FORMAT,
        "settings": provenance.settings(task),
        "vocabulary": provenance.of_vocabulary(task),
        "sources": {split: _sources(task, split) for split in task.splits()},
        "given_label": dict(given),
        "entries": {},
    }
    with _draft(target) as folder:
        for reading, split, examples, absent in entries:
            name = f"{reading}.{split}"
            header["entries"][name] = {"absent": absent} if absent else _described(examples)
            if not absent:
                write_columns(_file(folder, reading, split), examples)
        write_whole(folder / HEADER, json.dumps(header, indent=1))


def read(task: Task, reading: Reading, split: str, cls: type[T]) -> T:
    """The examples of a reading and split, mapped, once it is sure that they are the task's.

    Args:
      task: whose; its `cache` is the folder.
      reading, split: which.
      cls: the dataclass that was written.

    Raises:
      ConfigError: there is no cache.
      DataError: it is stale, or not sound, or that reading could not be cached.
    """
    header, place = _header(task), _place(task)
    _check_current(task, header, reading, split)
    entry = header["entries"].get(f"{reading}.{split}")
    if entry is None:
        raise DataError(f"{place}: expected {reading!r} of {split!r} in it, found none; {_REMEDY}.")
    if entry.get("absent"):
        raise DataError(f"{place}: {reading!r} of {split!r} was not cached, as {entry['absent']}")
    names = f"{reading}.{split}.safetensors"
    path = local_copy(place, (names,)) / names
    try:
        kinds = get_type_hints(cls)
        values = {name: restored(kinds[name], value) for name, value in entry["values"].items()}
        return cls(**read_columns(path, cls, restored(int, entry["count"])), **values)
    except (DataError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{place}: expected a sound cache, but {error} ({_REMEDY})") from None


def given(task: Task, languages: tuple[str, ...]) -> str:
    """A rationale that was written from the label when the cache was made, as `label_given` names it.

    Raises:
      ConfigError, DataError: as `read`.
    """
    marked = _header(task)["given_label"]
    return next((marked[one] for one in languages if marked.get(one)), "")


def _place(task: Task) -> Path:
    if not task.cache:
        raise ConfigError("Task.cache: expected a folder for the token ids, found none; set it.")
    return at(task.cache)


def _file(folder: Path, reading: str, split: str) -> Path:
    return folder / f"{reading}.{split}.safetensors"


def _header(task: Task) -> dict[str, Any]:
    """What a cache says of itself, as far as its form goes, and with the settings of the task."""
    place = _place(task)
    path = place / HEADER
    if not path.is_file():
        raise ConfigError(f"Task.cache: expected a cache in {place}, found none; {_REMEDY}.")
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(_HEADER_BYTES))
        version = header["format"]
        if version == FORMAT:
            for name in ("settings", "sources", "given_label", "entries"):
                restored(dict[str, Any], header[name])
            for entry in header["entries"].values():
                restored(dict[str, Any], entry)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: expected the header of a cache, but {error!r}; {_REMEDY}.") from None
    if version != FORMAT:
        raise DataError(f"{path}: expected a cache of format {FORMAT}, found {version!r}; {_REMEDY}.")
    return header


def _described(examples: Any) -> dict[str, Any]:
    """The header's entry of some examples: how many, and what is no sequence of them."""
    held = columns_of(type(examples))
    values = {name: plain(value) for name, value in vars(examples).items() if name not in held}
    return {"count": len(getattr(examples, next(iter(held)))), "values": values}


def _sources(task: Task, split: str) -> dict[str, Any]:
    """Hashes of the rows and rationales of a split, and stamps of their files, taken before they are read."""
    found: dict[str, Any] = {"row_files": provenance.stamps_of_rows(task, split)}
    found["rows"] = provenance.of_rows(task, split)
    if task.rationales:
        found["rationale_files"] = provenance.stamps_of_rationales(task)
        with contextlib.suppress(DataError):  # there are none yet
            found["rationales"] = provenance.of_rationales(task, split)
    return found


def _check_current(task: Task, header: dict[str, Any], reading: Reading, split: str) -> None:
    """Makes sure that what a cache was made of is what the task has now.

    Raises:
      DataError: it is not; the message says what has changed.
    """
    was, now = header["settings"], provenance.settings(task)
    changed = [f"Task.{name}" for name in {**was, **now} if was.get(name) != now.get(name)]
    if header.get("vocabulary") != provenance.of_vocabulary(task):
        changed.append("the vocabulary")
    if not changed:  # else the rows may be read otherwise
        changed += _changed_sources(task, header["sources"].get(split) or {}, reading, split)
    if changed:
        raise DataError(
            f"{_place(task)}: expected token ids of the task as it is, but since they were made these have "
            f"changed: {', '.join(changed)}; {_REMEDY}."
        )


def _changed_sources(task: Task, was: dict[str, Any], reading: Reading, split: str) -> list[str]:
    stamps = {"rows": provenance.stamps_of_rows(task, split)}
    if task.rationales and reading not in ("plain", "instruction"):
        stamps["rationales"] = provenance.stamps_of_rationales(task)
    absent = [name for name, found in stamps.items() if found is None]
    if absent:
        _log.info(
            "task %s, %s: no files of its %s here to compare; the cache is used as it is",
            task.name,
            split,
            " and ".join(absent),
        )
    read = {"rows": provenance.of_rows, "rationales": provenance.of_rationales}
    files = {"rows": "row_files", "rationales": "rationale_files"}
    for name, found in stamps.items():  # rationales of other rows are others
        if found not in (None, was.get(files[name])) and read[name](task, split) != was.get(name):
            return [f"the {name} of {split!r}"]
    return []


@contextlib.contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A folder to write in, whose files are then those of the target, and no others."""
    if is_remote(target):
        with tempfile.TemporaryDirectory() as held:
            yield Path(held)
            for path in [target / HEADER, *target.glob("*.safetensors")] if target.exists() else []:
                path.unlink(missing_ok=True)
            target.mkdir(parents=True, exist_ok=True)
            for path in sorted(Path(held).iterdir(), key=lambda path: path.name == HEADER):
                copy_file(path, target / path.name)
        return
    draft, old = (target.with_name(f"{target.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    draft.mkdir(parents=True)
    try:
        yield draft
        if target.exists():
            target.rename(old)
        draft.rename(target)
    finally:
        for folder in (draft, old):
            shutil.rmtree(folder, ignore_errors=True)
