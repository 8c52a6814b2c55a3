"""Where examples come from: JSON lines, JSON documents, parquet, TFDS; `tables` has CSV and TSV.

No data set script is ever run.
"""

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple

from fiat_jax.errors import ConfigError, DataError
from fiat_jax.paths import at, reason
from fiat_jax.records import fill, not_utf8, numbered_rows, template_fields

SPLITS = ("train", "validation", "test")


class Row(NamedTuple):
    """One row as its source has it.

    Attributes:
      where: file and line, for messages.
      language: what stood for {language} in the path; None if nothing did.
      fields: the row.
    """

    where: str
    language: str | None
    fields: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A place for each split; one with {language} in it stands for one place a language.

    Attributes:
      train, validation, test: the places; None for a split that there is not.
      address: where the data can be had; said where it is absent.
    """

    train: str | None = None
    validation: str | None = None
    test: str | None = None
    address: str = ""

    def __post_init__(self) -> None:
        kind = type(self).__name__
        if not self.splits():
            raise ConfigError(f"{kind}: expected a place for one of {', '.join(SPLITS)}, found none.")
        for place in self._places():
            if set(template_fields(place)) - {"language"}:
                raise ConfigError(f"{kind}: expected no name in braces but {{language}}, found {place!r}.")
            if place.endswith(".py"):
                raise ConfigError(
                    f"{kind}: expected data, found the data set script {place!r}; scripts are not run: "
                    "use the data set's parquet or JSON-lines files, or its name in TFDS."
                )

    def splits(self) -> tuple[str, ...]:
        """The splits that have a place."""
        return tuple(split for split in SPLITS if getattr(self, split) is not None)

    def by_language(self) -> bool:
        """Whether {language} stands in a place."""
        return any("{language}" in place for place in self._places())

    def rows(self, split: str, languages: tuple[str, ...] = ()) -> Iterator[Row]:
        """The rows of a split in the order of the files.

        Args:
          split: one of `splits()`.
          languages: what {language} stands for; without it in the place, all rows come, of any language.

        Raises:
          DataError: a file is absent or broken; the message names it, and the line.
        """
        for place, language in self.places(split, languages):
            for where, fields in self._read(place):
                yield Row(where, language, fields)

    def places(self, split: str, languages: tuple[str, ...] = ()) -> Iterator[tuple[str, str | None]]:
        """The places of a split, each with what stands for {language} in it; None if nothing does."""
        named = "{language}" in self._place(split)
        for language in languages if named else ("",):
            yield fill(self._place(split), {"language": language}), language if named else None

    def remedy(self) -> str:
        """What to do where data is absent."""
        if not self.address:
            return "check the path."
        return f"download it from {self.address}, or set where it lies in {type(self).__name__}."

    def files(self, split: str, languages: tuple[str, ...] = ()) -> tuple[Path, ...]:
        """The files that the rows of a split are in, there or not; none where it keeps no such files."""
        return tuple(path for place, _ in self.places(split, languages) for path in self._files(place))

    def _place(self, split: str) -> str:
        return getattr(self, split)

    def _places(self) -> tuple[str, ...]:
        return tuple(map(self._place, self.splits()))

    def _files(self, place: str) -> Sequence[Path]:
        """The files of one place, in order; a single one may be absent."""
        return ()

    @abstractmethod
    def _read(self, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of one place, each with where it stands."""


@dataclass(frozen=True, kw_only=True)
class Files(Source):
    """Files of one format: a place is a file, or a pattern such as 'rows-*.jsonl'."""

    form: ClassVar[str]

    def pattern(self, place: str) -> str:
        """A place as a pattern of file names."""
        return place

    @abstractmethod
    def parse(self, file: BinaryIO, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of one open file, each with where it stands.

        Args:
          file: open for reading bytes.
          name: what messages call it.

        Raises:
          DataError: it is not of the format; the message names it, and the line.
        """

    def _read(self, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
        files = self._files(place)
        if not files:
            form = "files of that pattern" if "*" in place else self.form
            raise DataError(f"{place}: expected {form}, found none; {self.remedy()}")
        for path in files:
            try:
                file = path.open("rb")
            except OSError as error:
                raise DataError(
                    f"{place}: expected {self.form}, found none ({reason(error)}); {self.remedy()}"
                ) from None
            with file:
                yield from self.parse(file, str(path))

    def _files(self, place: str) -> Sequence[Path]:
        path = at(self.pattern(place))
        return sorted(path.parent.glob(path.name)) if "*" in path.name else [path]


@dataclass(frozen=True, kw_only=True)
class Jsonl(Files):
    """JSON-lines files, one object a line: a file, or a pattern such as 'rows-*.jsonl'."""

    form = "a JSON-lines file"

    def parse(self, file: BinaryIO, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of one open file, each with where it stands."""
        for line, fields in numbered_rows(file, name):
            yield f"{name}:{line}", fields


@dataclass(frozen=True, kw_only=True)
class Json(Files):
    """JSON documents, each a list of objects or with such a list somewhere in it.

    Attributes:
      under: the names that lead to the list, parted by dots, as 'data' in SQuAD's files; '' where the
        document is the list.
    """

    under: str = ""

    form = "a JSON file"

    def parse(self, file: BinaryIO, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The items of the list of one open file, each with where it stands, counted from 0."""
        for number, item in enumerate(self._list(file, name)):
            where = f"{name}: {self.under}[{number}]"
            if not isinstance(item, dict):
                raise DataError(f"{where}: expected a JSON object, found {type(item).__name__}.")
            yield where, item

    def _list(self, file: BinaryIO, name: str) -> list[Any]:
        text = file.read()
        try:
            value = json.loads(text.decode("utf-8-sig"))
        except json.JSONDecodeError as error:
            hint = "; where each line is an object of its own, use Jsonl" * (error.msg == "Extra data")
            raise DataError(
                f"{name}:{error.lineno}: expected JSON, found broken JSON ({error.msg}){hint}."
            ) from None
        except UnicodeDecodeError:
            raise not_utf8(name, name, text) from None
        for step in filter(None, self.under.split(".")):
            value = value.get(step) if isinstance(value, dict) else None
        if not isinstance(value, list):
            found = "none there" if value is None else type(value).__name__
            raise DataError(
                f"{name}: expected a list{' under ' * bool(self.under)}{self.under}, found {found}; "
                "say in Json.under which names lead to it."
            )
        return value


@dataclass(frozen=True, kw_only=True)
class Parquet(Files):
    """Parquet files: a file, a folder of them, or a pattern such as 'squad/train-*.parquet'."""

    form = "a parquet file, a folder or a pattern of them"

    def pattern(self, place: str) -> str:
        """A place as a pattern of file names."""
        return place if "*" in place or place.endswith(".parquet") else f"{place.rstrip('/')}/*.parquet"

    def parse(self, file: BinaryIO, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of one file, each with where it stands."""
        import pyarrow
        from pyarrow import parquet

        try:
            batches = parquet.ParquetFile(file).iter_batches()
            rows = itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
            for number, fields in enumerate(rows, start=1):
                yield f"{name}: row {number}", fields
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{name}: expected a parquet file, but {error}.") from None

    def remedy(self) -> str:
        """What to do where data is absent."""
        if self.address:
            return super().remedy()
        return (
            "names on the hub and data set scripts are not read: download the parquet files, or use JSON "
            "lines or TFDS."
        )

    def _files(self, place: str) -> Sequence[Path]:
        return [at(place)] if at(place).is_file() else super()._files(place)


@dataclass(frozen=True, kw_only=True)
class Tfds(Source):
    """A data set of TFDS; the places are its own split names, such as 'train[:90%]'.

    Attributes:
      name: its name and config; may hold {language}. Each row also has TFDS's own 'tfds_id'.
      data_dir: where it is kept; None for TFDS's default.
    """

    name: str
    data_dir: str | None = None

    def _place(self, split: str) -> str:
        return f"{self.name}:{getattr(self, split)}"

    def _read(self, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
        from fiat_jax.data.tensorflow import tfds

        name, _, split = place.partition(":")
        try:
            rows = tfds.load(
                name,
                split=split,
                data_dir=self.data_dir,
                shuffle_files=False,
                read_config=tfds.ReadConfig(add_tfds_id=True),
            )
        except Exception as error:  # TFDS raises what its builders, file systems and downloads raise
            why = str(error).strip().splitlines()[0]
            raise DataError(
                f"TFDS {place}: expected a data set and split that load, but {why}"
                + f"; {self.remedy()}" * bool(self.address)
            ) from error
        for number, fields in enumerate(tfds.as_numpy(rows), start=1):
            yield f"TFDS {place}: row {number}", {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    """A numpy value as Python's own."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
