"""What an inspection is made of: sections of sentences, tables and histograms, without their looks."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes:
      head: names of the columns.
      rows: as many cells each.
      numbers: how many columns, counted from the last, are numbers.
      title: what it shows; '' where the section says it.
      most: how many rows a terminal shows.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: int = 0
    title: str = ""
    most: int = 40


@dataclass(frozen=True)
class Histogram:
    """Counts by length.

    Attributes:
      title: of what.
      counts: for each name, how many are in 1 to step, step + 1 to 2 step, ...; a bin begins after the limit.
      step: the width of a bin.
      limit: the longest that fits; None where there is no limit.
    """

    title: str
    counts: dict[str, tuple[int, ...]]
    step: int
    limit: int | None = None


@dataclass(frozen=True)
class Section:
    """A part of the report: a title, sentences, histograms, then tables."""

    title: str
    notes: Sequence[str] = ()
    charts: Sequence[Histogram] = ()
    tables: Sequence[Table] = ()


def percent(part: float, whole: float) -> str:
    """A share with one digit; '-' of nothing."""
    return f"{100 * part / whole:.1f}" if whole else "-"
