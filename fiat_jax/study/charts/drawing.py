"""What charts are drawn with: looks that differ without colour too, axes, legends."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

Interval = tuple[float, float, float]
"""(value, low, high)"""

WIDE, NARROW = 740, 360
TOP, LINE = 14, 16
STYLE = (
    "svg text { font: 12px system-ui, sans-serif; fill: #444 } svg .back, svg .hollow { fill: #fff } "
    "svg .axis { stroke: #999; fill: none } svg .grid { stroke: #e4e4e4; fill: none } "
    "svg .ink { stroke: #333; fill: #333 }"
)

_LETTER = 6.4
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a")
_DASHES = ("", "8 3", "2 3", "9 3 2 3", "5 2")
_MARKS = (
    "m-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0z",
    "m-4,-4h8v8h-8z",
    "m0,-5l5,9h-10z",
    "m0,-5.5l5.5,5.5l-5.5,5.5l-5.5,-5.5z",
    "m0,5l5,-9h-10z",
    "m-1.7,-5h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z",
)


@dataclass(frozen=True)
class Look:
    """How one of several is drawn: in the colours of Okabe and Ito, which colour-blind eyes tell apart."""

    colour: str
    dash: str
    mark: str

    @property
    def stroke(self) -> str:
        """Of its line."""
        dash = f' stroke-dasharray="{self.dash}"' if self.dash else ""
        return f'fill="none" stroke="{self.colour}" stroke-width="1.8"{dash}'

    def point(self, x: float, y: float, filled: bool = True) -> str:
        """Its mark."""
        fill = f'fill="{self.colour}"' if filled else 'class="hollow"'
        return f'<path d="M{x:.1f},{y:.1f}{self.mark}" {fill} stroke="{self.colour}" stroke-width="1.4"/>'

    def bar(self, x: float, low: float, high: float) -> str:
        """An interval upright."""
        return f'<path d="M{x:.1f},{low:.1f}V{high:.1f}" stroke="{self.colour}" stroke-width="1.4"/>'


def look(at: int) -> Look:
    """The look of the n-th; thirty differ, and more."""
    return Look(_COLOURS[at % len(_COLOURS)], _DASHES[at % len(_DASHES)], _MARKS[at % len(_MARKS)])


def looks_of(names: Iterable[str]) -> dict[str, Look]:
    """A look for each of some names."""
    return {name: look(at) for at, name in enumerate(names)}


@dataclass(frozen=True)
class Axis:
    """Where the values of one direction stand.

    Attributes:
      low, high: the values at both ends.
      start, end: where those are.
      log: whether equal factors are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (
            map(math.log, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.start + (self.end - self.start) * (value - low) / ((high - low) or 1.0)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values within an axis, about so many."""
    rough = (high - low) / count or 1.0
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * times for times in (1, 2, 2.5, 5, 10) if size * times >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [step * at for at in range(first, math.floor(high / step + 1e-9) + 1)]


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Words at a place."""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{where}>{escape(words)}</text>'


def on_paper(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Words that cover what is under them."""
    wide = length([words])
    left = x if anchor == "start" else x - wide
    back = f'<rect class="back" x="{left:.1f}" y="{y - 11:.1f}" width="{wide:.1f}" height="14"/>'
    return back + text(x, y, words, anchor)


def length(words: Iterable[str]) -> float:
    """How long the longest of some words is drawn, at most."""
    return _LETTER * max(map(len, words), default=0)


def legend(x: float, y: float, entries: Iterable[tuple[str, Look, bool]]) -> tuple[list[str], float]:
    """Names with their looks, with or without marks, one below another; and where they end."""
    drawn = []
    for name, one, marked in entries:
        drawn += [key(x, y, one, marked), text(x + 36, y + 4, name)]
        y += LINE
    return drawn, y


def key(x: float, y: float, one: Look, marked: bool = True) -> str:
    """A piece of line, with its mark or without."""
    mark = one.point(x + 14, y) if marked else ""
    return f'<path d="M{x:.1f},{y:.1f}h28" {one.stroke}/>{mark}'


def apart(places: Sequence[float], foot: float, line: float = LINE) -> list[float]:
    """Heights of labels, moved where they would stand on one another or pass the foot; in the same order."""
    order = sorted(range(len(places)), key=lambda at: places[at])
    moved = list(places)
    for before, at in pairwise(order):
        moved[at] = max(moved[at], moved[before] + line)
    most = foot + line
    for at in reversed(order):
        moved[at] = most = min(moved[at], most - line)
    return moved


def svg(title: str, height: float, parts: Iterable[str], width: float = WIDE) -> str:
    """A picture of parts, on paper of its own."""
    size = f'width="{width:g}" height="{height:.0f}" viewBox="0 0 {width:g} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'
    back = f'<rect class="back" width="{width:g}" height="{height:.0f}"/>'
    return f"{head}<style>{STYLE}</style>{back}\n" + "\n".join(parts) + "\n</svg>\n"
