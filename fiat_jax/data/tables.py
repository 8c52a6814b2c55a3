"""Tables as text: CSV and TSV, with a header or with columns that are named."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from fiat_jax.data.sources import Files
from fiat_jax.errors import ConfigError, DataError, FiatError
from fiat_jax.records import not_utf8

_BOM = "\ufeff"


@dataclass(frozen=True, kw_only=True)
class Table(Files):
    """CSV and TSV files, in UTF-8: a file, or a pattern such as 'rows-*.csv'. Every value is text.

    Attributes:
      columns: the names of the columns of files that have no header; () reads them from the first row.
      delimiter: what parts the columns; '' is a tab in files that end in .tsv, and a comma in others.
      quoting: whether double quotes enclose values, which may then hold delimiters and line breaks; False
        reads quotes as any other letter, as TSV files often have them.
    """

    columns: tuple[str, ...] = ()
    delimiter: str = ""
    quoting: bool = True

    form = "a table"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.delimiter) > 1:
            raise ConfigError(f"Table.delimiter: expected one character, found {self.delimiter!r}.")
        _check_names(self.columns, "Table.columns", ConfigError)

    def parse(self, file: BinaryIO, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of one open file, each with the line where it begins; empty lines are passed over."""
        columns = self.columns
        for line, cells in self._cells(file, name):
            if not columns:
                columns = tuple(cells)
                _check_names(columns, f"{name}:{line}", DataError)
                continue
            if len(cells) != len(columns):
                raise DataError(
                    f"{name}:{line}: expected {len(columns)} columns ({', '.join(columns)}), found "
                    f"{len(cells)}; check the row, Table.delimiter and Table.quoting."
                )
            yield f"{name}:{line}", dict(zip(columns, cells, strict=True))

    def _cells(self, file: BinaryIO, name: str) -> Iterator[tuple[int, list[str]]]:
        """The line where each row begins, from 1, and its values."""
        delimiter = self.delimiter or ("\t" if name.endswith(".tsv") else ",")
        lines = _decoded(file, name)
        if not self.quoting:
            split = ((number, line.rstrip("\r\n")) for number, line in enumerate(lines, start=1))
            yield from ((number, line.split(delimiter)) for number, line in split if line)
            return
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        begins = 1
        try:
            for cells in reader:
                if cells:
                    yield begins, cells
                begins = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{name}:{begins}: expected a row of a table, but {error}; close its double quotes, or set "
                "Table.quoting = False where they enclose nothing."
            ) from None


def _decoded(file: BinaryIO, name: str) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            raise not_utf8(f"{name}:{number}", name, line) from None
        yield text.removeprefix(_BOM) if number == 1 else text


def _check_names(columns: Sequence[str], where: str, error: type[FiatError]) -> None:
    for number, column in enumerate(columns):
        if column in columns[:number]:
            raise error(f"{where}: expected each column once, found {column!r} again.")
