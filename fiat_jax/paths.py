"""Where files lie: on this machine, or in a bucket as `gs://bucket/path`, read and written alike.

A path in a bucket is one of `etils.epath`, as Orbax has them, with gcsfs under it (extra `gcs`). It has the
methods of `pathlib.Path`, as far as a bucket knows such things: a file appears whole when it is closed, a
folder is the common name of what lies in it, and nothing is appended to. What needs more is here.
"""

import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import cast

from fiat_jax.errors import ConfigError

_BUCKETS = "gs://"
_SCHEME = re.compile(r"(\w+)://")
_CHUNK = 64 << 20  # bytes of a read


def at(place: str | PurePath) -> Path:
    """The path that a text names.

    Args:
      place: of a file or folder here, or gs://bucket/path.

    Raises:
      ConfigError: it lies in a bucket and gcsfs is not installed, or elsewhere.
    """
    if not isinstance(place, str):
        return cast(Path, place)
    scheme = _SCHEME.match(place)
    if scheme is None:
        return Path(place)
    if scheme[0] != _BUCKETS:
        raise ConfigError(f"{place}: expected a local path or {_BUCKETS}BUCKET/PATH, found {scheme[0]}.")
    return _in_bucket(place)


def is_remote(place: str | PurePath) -> bool:
    """Whether a path leads into a bucket."""
    return str(place).startswith(_BUCKETS)


def absolute(path: Path) -> Path:
    """The path from the root, or from the bucket."""
    return path if is_remote(path) else path.absolute()


def size(path: Path) -> int:
    """Bytes of a file."""
    return cast(int, path.stat().length if is_remote(path) else path.stat().st_size)  # type: ignore[attr-defined]


def files_under(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from files_under(entry)
        else:
            yield entry


def reason(error: OSError) -> str:
    """What a failure of a disk or of a bucket says, in a few words."""
    missing = isinstance(error, FileNotFoundError)
    return error.strerror or ("No such file or directory" if missing else str(error))


def append(path: Path, text: str) -> None:
    """Adds text to the end of a file, which is made where there is none; in a bucket it is written again."""
    if not is_remote(path):
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
        return
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(before + text, encoding="utf-8")


def copy_file(source: Path, target: Path) -> None:
    """Copies a file, a part at a time."""
    with source.open("rb") as read, target.open("wb") as written:
        shutil.copyfileobj(read, written, _CHUNK)


def copy_files(source: Path, target: Path) -> None:
    """Copies the files of a folder into another one."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        copy_file(path, target / path.name)


@contextmanager
def local_writing(folder: Path) -> Iterator[Path]:
    """A folder on this machine to write files to: the given one, or one whose files are then copied there."""
    if not is_remote(folder):
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as held:
        yield Path(held)
        copy_files(Path(held), folder)


def local_copy(path: Path, wanted: Sequence[str] = ("*",)) -> Path:
    """A file or folder on this machine with what lies at a path: itself, or an up-to-date copy in the cache.

    Args:
      path: a file, or a folder whose own files are meant.
      wanted: patterns of the files of a folder.
    """
    if not is_remote(path):
        return path
    copy = cache("gs", *path.parts[2:])
    if not path.is_dir():
        _refresh(copy, path)
        return copy
    files = {file.name: file for file in path.iterdir() if not file.is_dir()}
    copy.mkdir(parents=True, exist_ok=True)
    for old in copy.iterdir():
        if old.name not in files and old.is_file() and old.suffix != ".part":
            old.unlink(missing_ok=True)
    for name, file in files.items():
        if any(fnmatch(name, pattern) for pattern in wanted):
            _refresh(copy / name, file)
    return copy


def cache(*parts: str) -> Path:
    """A place for what can be had again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fiat_jax", *parts)


def _in_bucket(place: str) -> Path:
    if importlib.util.find_spec("gcsfs") is None:
        raise ConfigError(
            f"{place}: expected gcsfs, by which buckets are read and written, found it not installed; "
            "pip install 'fiat-jax[gcs]'."
        )
    # Of its parts for zonal buckets, which ask over gRPC what kind of bucket each is, nothing is used here.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    import fsspec
    from etils import epath

    # Others write to the same folders: tensorstore, and other hosts.
    fsspec.config.conf.setdefault("gs", {})["use_listings_cache"] = False
    return cast(Path, epath.Path(place))


def _refresh(copy: Path, path: Path) -> None:
    """Copies a file of a bucket here, unless the copy is of the same size and time."""
    length, changed = size(path), path.stat().mtime  # type: ignore[attr-defined]
    if copy.is_file() and (size(copy), int(copy.stat().st_mtime)) == (length, int(changed)):
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    draft = copy.with_name(f"{copy.name}.{os.getpid()}.part")
    copy_file(path, draft)
    os.utime(draft, (changed, changed))
    draft.replace(copy)
