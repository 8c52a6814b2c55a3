"""The rows of a task in parts that other machines can read, each by itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from fiat_jax.data.sources import Row, Tfds
from fiat_jax.data.tasks import Task
from fiat_jax.records import numbered_rows


@dataclass(frozen=True)
class Part:
    """Some rows of a split: those of the files at a place, or all.

    Attributes:
      task: whose rows.
      split: one of `task.splits()`.
      place: a file name or a pattern of some; None where the split can only be read as a whole.
      language: what stood for {language} in the place; None if nothing did.
    """

    task: Task
    split: str
    place: str | None = None
    language: str | None = None

    def rows(self, file: BinaryIO | None = None, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows, checked as `Task.rows` does, each with where it stands.

        Args:
          file: one of the files at the place, open; None to read the split as a whole.
          name: what errors call the file.

        Raises:
          DataError: a row lacks a field; the message names the file and the line. An id that stands in two
            parts, or twice in a file, is not found here.
        """
        task = self.task
        if file is None or isinstance(task.source, Tfds):
            yield from ((f"split {self.split!r}", row) for row in task.rows(self.split))
            return
        parsed = task.source.parse(file, name)
        for flat in task.flat(Row(where, self.language, fields) for where, fields in parsed):
            row = task.checked(flat)
            if not task.languages or row["language"] in task.languages:
                yield flat.where, row


@dataclass(frozen=True)
class Inputs:
    """Rows without answers, as prediction gets them: those of the JSON-lines files at a place.

    Attributes:
      task: whose template reads them.
      place: a file name or a pattern of some.
      split: what errors call them.
    """

    task: Task
    place: str
    split: str = "input"

    def rows(self, file: BinaryIO | None, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of one of the files, if there is one; see `Part.rows`."""
        for number, row in unlabelled_rows(self.task, file or (), name):
            yield f"{name}:{number}", row


def unlabelled_rows(task: Task, lines: Iterable[bytes], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of JSON lines without answers; a row without an id gets its line number as one.

    Raises:
      DataError: a row lacks a field of the template.
    """
    for number, row in numbered_rows(lines, name):
        yield number, task.unlabelled(row, f"{name}:{number}", id=str(number))


def parts_of(task: Task, split: str) -> tuple[Part, ...]:
    """A split in as many parts as can be read apart.

    What TFDS, a holdout or a regime decides is known to a reader of the whole split only: one part.
    """
    source = task.source
    chosen = (task.holdout and split != "test") or (task.regime and split == "train")
    if isinstance(source, Tfds) or chosen:
        return (Part(task, split),)
    places = source.places(split, task.languages)
    return tuple(Part(task, split, source.pattern(place), language) for place, language in places)
