"""What a score loses, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

from fiat_jax.study.charts.drawing import LINE, NARROW, TOP, WIDE, Axis, look, on_paper, svg, text, ticks

_ROW, _FOOT, _SIDE = 44, 40, 14


@dataclass(frozen=True)
class Step:
    """A step of a waterfall.

    Attributes:
      name: what is read of it.
      before, after: the score; before is None for the start.
      low, high: the interval of the score after it.
      said: what is read of the change.
    """

    name: str
    before: float | None
    after: float
    low: float
    high: float
    said: str


def steps(title: str, taken: Sequence[Step], width: float = WIDE) -> str:
    """A waterfall: a bar from each score to the next, with the interval of the next.

    Losses and gains differ in colour, and in that gains are outlined.

    Args:
      title: what is read from left to right.
      taken: from the start on.
      width: of the picture.
    """
    ends = [end for one in taken for end in (one.low, one.high, one.after)]
    lift = LINE if width <= NARROW else 0
    row = _ROW + lift
    x, foot = Axis(min(ends), max(ends), _SIDE + 8, width - _SIDE - 8), TOP + row * len(taken)
    drawn = [f'<path d="M{_SIDE},{foot}H{width - _SIDE}" class="axis"/>']
    for value in ticks(x.low, x.high):
        drawn.append(f'<path d="M{x(value):.1f},{TOP}V{foot}" class="grid"/>')
        drawn.append(text(x(value), foot + 18, f"{value:.4g}", "middle"))
    for at, one in enumerate(taken):
        y = TOP + row * at + 26 + lift
        if at + 1 < len(taken):
            place = f"M{x(one.after):.1f},{y + 7}v{row - 14}"
            drawn.append(f'<path d="{place}" stroke="#8a8a8a" stroke-dasharray="2 3"/>')
        drawn += [on_paper(_SIDE, y - 12 - lift, one.name), on_paper(width - _SIDE, y - 12, one.said, "end")]
        drawn += _drawn(one, x, y)
    drawn.append(text(width / 2, foot + 34, title, "middle"))
    return svg(title, foot + _FOOT, drawn, width)


def _drawn(one: Step, x: Axis, y: float) -> list[str]:
    gain = one.before is not None and one.after > one.before
    colour = look(2 if gain else 0).colour
    drawn = []
    if one.before is not None:
        left, right = sorted((x(one.before), x(one.after)))
        fill = f'class="hollow" stroke="{colour}"' if gain else f'fill="{colour}"'
        drawn.append(
            f'<rect x="{left:.1f}" y="{y - 7}" width="{max(right - left, 1):.1f}" height="14" {fill}/>'
        )
    return [
        *drawn,
        f'<path d="M{x(one.low):.1f},{y}H{x(one.high):.1f}" class="ink" stroke-width="1.6"/>',
        f'<circle cx="{x(one.after):.1f}" cy="{y}" r="3.5" class="ink"/>',
    ]
