"""What a report is made of, whatever it is written as."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """A paragraph; `strong` where it is the answer itself."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Items:
    """Sentences, one below another."""

    sentences: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table of text; a line break in a cell is one.

    Attributes:
      head: names of the columns.
      rows: of cells.
      numbers: how many columns, counted from the last, are set to the right.
      title: what stands over it.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: int = 0
    title: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture, as SVG.

    Attributes:
      name: of its file.
      title: what it shows.
      draw: the picture of a width.
      note: how it is read.
    """

    name: str
    title: str
    draw: Callable[[float], str]
    note: str = ""


@dataclass(frozen=True)
class Example:
    """Texts of one example by name."""

    title: str
    texts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    """Text as it is."""

    text: str


@dataclass(frozen=True)
class Heading:
    """The name of what follows within a section."""

    text: str


Block = Text | Items | Table | Picture | Example | Code | Heading


@dataclass(frozen=True)
class Section:
    """A part of a report with a name."""

    title: str
    blocks: Sequence[Block]
