"""A file of answers that grows line by line, and goes on where it was left.

Beside it lies what the answers depend on, so that answers of two runs or two settings never mix. In a bucket
nothing is appended to: there the file is written on this machine, and copied when it is closed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from fiat_jax.errors import ConfigError, DataError
from fiat_jax.paths import at, cache, copy_file, is_remote, reason, size
from fiat_jax.records import numbered_jsonl, write_whole

_CHUNK = 1 << 16


class AnswerFile:
    """Answers, open to be added to.

    Args:
      target: the file, here or in a bucket; its folder is made if absent.
      settings: what its answers depend on, as JSON.

    Raises:
      ConfigError: it holds something else, or answers of other settings, or cannot be written.
    """

    def __init__(self, target: Path, settings: Mapping[str, Any]) -> None:
        self._target = target
        side = at(f"{target}.settings.json")
        try:
            self._here = _here(target)
            if self._here.exists() and size(self._here):
                _check_settings(target, side, settings)
                _drop_torn_line(self._here)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_whole(side, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
            self._file = self._here.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{target}: expected a file to write to, but {reason(error)}.") from None

    def count_of(
        self, rows: Iterable[tuple[int, Mapping[str, Any]]], source: Path, ours: Iterable[str]
    ) -> int:
        """How many rows are answered already: they are the first ones.

        Args:
          rows: the input's, with their line numbers.
          source: the input's path.
          ours: the fields that answers add or replace.

        Raises:
          DataError: what is answered is not what the input begins with.
        """
        added, count, left = set(ours), 0, iter(rows)
        for count, answered in numbered_jsonl(self._here):
            number, row = next(left, (0, None))
            if row is None:
                raise self._other(count, f"the end of {source}")
            expected = {name: value for name, value in row.items() if name not in added}
            if json.dumps(expected) != json.dumps({name: answered.get(name) for name in expected}):
                raise self._other(count, f"the answer to {source}:{number}")
        return count

    def add(self, row: Mapping[str, Any]) -> None:
        """Writes a line; a process that is killed afterwards leaves it."""
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()

    def __enter__(self) -> "AnswerFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._here != self._target:
            copy_file(self._here, self._target)

    def _other(self, line: int, expected: str) -> DataError:
        return DataError(
            f"{self._target}:{line}: expected {expected}, found another row; the input has changed since: "
            "remove the output to answer all of it again, or name another one."
        )


def _here(target: Path) -> Path:
    """The file that is written: the target, or one on this machine with what a bucket has of it."""
    if not is_remote(target):
        return target
    here = cache("answers", hashlib.sha256(str(target).encode()).hexdigest()[:16]) / target.name
    here.parent.mkdir(parents=True, exist_ok=True)
    here.unlink(missing_ok=True)
    if target.exists():
        copy_file(target, here)
    return here


def _check_settings(target: Path, side: Path, settings: Mapping[str, Any]) -> None:
    remedy = f"remove {target} to answer all rows again, or name another output."
    if not side.exists():
        raise ConfigError(
            f"{target}: expected no file, or one begun by `fiat predict`, found another; {remedy}"
        )
    begun = json.loads(side.read_text(encoding="utf-8"))
    for name, value in settings.items():
        if begun.get(name) != value:
            raise ConfigError(
                f"{target}: expected answers of the same run and settings, found {name} "
                f"{begun.get(name)!r} in {side}, and {value!r} now; {remedy}"
            )


def _drop_torn_line(path: Path) -> None:
    """Takes away what stands after the last line's end: a process was killed while it wrote it."""
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end:
            start = max(0, end - _CHUNK)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            end = start
        file.truncate(0)
