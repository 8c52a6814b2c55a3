"""Values with their intervals, a line each."""

from collections.abc import Mapping

from fiat_jax.study.charts.drawing import (
    LINE,
    NARROW,
    TOP,
    WIDE,
    Axis,
    Interval,
    Look,
    legend,
    length,
    look,
    looks_of,
    svg,
    text,
    ticks,
)

_FOOT = 40


def intervals(title: str, rows: Mapping[str, Interval]) -> str:
    """A chart of values with their intervals, a line each.

    Args:
      title: what the values are.
      rows: (value, low, high) by name.
    """
    left, step, right = 300, 24, WIDE - 70
    lows, highs = [low for _, low, _ in rows.values()], [high for _, _, high in rows.values()]
    start, end = min([*lows, 0.0] if min(lows) < 0 else lows), max([*highs, 0.0] if max(highs) < 0 else highs)
    x, foot = Axis(start, end, left, right), TOP + step * len(rows)
    drawn = [f'<path d="M{left},{foot}H{right}" class="axis"/>']
    if start <= 0 <= end:
        drawn.append(f'<path d="M{x(0):.1f},{TOP}V{foot}" class="axis"/>')
    one = look(1)
    stroke = f'stroke="{one.colour}" opacity=".5"'
    for at, (name, (value, low, high)) in enumerate(rows.items()):
        y = TOP + step * at + step / 2
        drawn += [
            text(left - 12, y + 4, name, "end"),
            f'<path d="M{x(low):.1f},{y}H{x(high):.1f}" {stroke} stroke-width="3"/>',
            f'<circle cx="{x(value):.1f}" cy="{y}" r="4" fill="{one.colour}"/>',
            text(right + 12, y + 4, f"{value:.1f}"),
        ]
    drawn += [
        text(left, foot + 18, f"{start:.1f}"),
        text(right, foot + 18, f"{end:.1f}", "end"),
        text((left + right) / 2, foot + 32, title, "middle"),
    ]
    return svg(title, foot + _FOOT, drawn)


def groups(
    title: str,
    rows: Mapping[str, Mapping[str, Interval]],
    width: float = WIDE,
    looks: Mapping[str, Look] | None = None,
) -> str:
    """The same few things in several groups: dots with their intervals, a legend once.

    Args:
      title: what the values are.
      rows: (value, low, high) by group and name; what a group lacks is left out of it.
      width: of the picture.
      looks: by name, where other pictures have the same.
    """
    names = list(dict.fromkeys(name for group in rows.values() for name in group))
    looks = looks or looks_of(names)
    narrow = width <= NARROW
    left = min(length(rows) + 14, width / 4)
    right = width - (14 if narrow else length(names) + 60)
    ends = [end for group in rows.values() for _, low, high in group.values() for end in (low, high)]
    x = Axis(min(ends), max(ends), left + 8, right - 8)
    step, gap = 11, 14
    drawn, y = [], float(TOP)
    for group, of_each in rows.items():
        drawn.append(text(left - 8, y + step * len(names) / 2 + 4, group, "end"))
        for name in names:
            y += step
            if name in of_each:
                value, low, high = map(x, of_each[name])
                stroke = f'stroke="{looks[name].colour}" stroke-width="1.4"'
                drawn.append(f'<path d="M{low:.1f},{y}H{high:.1f}" {stroke}/>{looks[name].point(value, y)}')
        y += gap
        drawn.append(f'<path d="M{left},{y - gap / 4:.1f}H{right:.1f}" class="grid"/>')
    scale = [f'<path d="M{left},{y}H{right:.1f}" class="axis"/>']
    for value in ticks(x.low, x.high):
        scale.append(f'<path d="M{x(value):.1f},{TOP}V{y}" class="grid"/>')
        scale.append(text(x(value), y + 18, f"{value:.4g}", "middle"))
    scale.append(text((left + right) / 2, y + 34, title, "middle"))
    beside, under = (8.0, y + 54) if narrow else (right + 12, TOP + 10.0)
    named, below = legend(beside, under, [(name, looks[name], True) for name in names])
    return svg(title, max(y + _FOOT, below if narrow else below + LINE), [*scale, *drawn, *named], width)
