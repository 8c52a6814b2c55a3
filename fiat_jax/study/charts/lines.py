"""Curves over one axis."""

from collections.abc import Mapping, Sequence

from fiat_jax.study.charts.drawing import (
    LINE,
    NARROW,
    TOP,
    WIDE,
    Axis,
    Interval,
    Look,
    apart,
    key,
    legend,
    length,
    looks_of,
    svg,
    text,
    ticks,
)

Point = tuple[float, float]

_LEFT, _HEIGHT, _APART = 46, 260, 5


def lines(
    title: str,
    curves: Mapping[str, Sequence[Point]],
    across: str,
    bottom: float | None = 0.0,
    bands: Mapping[str, Sequence[Interval]] | None = None,
    bars: Mapping[str, Sequence[Interval]] | None = None,
    levels: Mapping[str, Interval] | None = None,
    log: bool = False,
    width: float = WIDE,
    looks: Mapping[str, Look] | None = None,
) -> str:
    """A chart of curves over one axis, each named at its end, or below where that is narrow.

    Args:
      title: what is read up the side.
      curves: points by name, from left to right.
      across: what is read from left to right.
      bottom: the value at the foot; None for somewhat below the lowest.
      bands: by the same names, (x, low, high) of what is shaded around a curve.
      bars: the same as bars; points then have marks, and stand a little apart.
      levels: values by name that go all the way across.
      log: whether equal factors are equally far apart; the numbers are then those of points.
      width: of the picture.
      looks: by name, where other pictures have the same.
    """
    bands, bars, levels = bands or {}, bars or {}, levels or {}
    looks = looks or looks_of([*curves, *levels])
    ends = {name: curve[-1][1] for name, curve in curves.items()}
    ends |= {name: value for name, (value, _, _) in levels.items()}
    labels = {name: f"{name} {value:#.3g}".rstrip(".") for name, value in ends.items()}
    narrow = width <= NARROW
    side = 14.0 if narrow else length(labels.values()) + 50
    low, high = _range([*curves.values()], [*bands.values(), *bars.values()], [*levels.values()], bottom)
    y = Axis(low, high, _HEIGHT - 40, TOP)
    numbers = sorted({point for curve in curves.values() for point, _ in curve}) or [0.0, 1.0]
    inset = _APART * len(curves) / 2 + 8 if bars else 0.0
    x = Axis(
        numbers[0] if log else 0.0,
        numbers[-1],
        _LEFT + inset,
        width - side - inset,
        log,
    )
    drawn = _axes(x, y, numbers if log else ticks(0.0, numbers[-1], 4), width - side, title, across)
    for name, value in levels.items():
        drawn += _level(value, looks[name], y, width - side)
    for number, (name, curve) in enumerate(curves.items()):
        shift = _APART * (number - (len(curves) - 1) / 2) if bars else 0.0
        if band := bands.get(name):
            around = [(at, low) for at, low, _ in band] + [(at, high) for at, _, high in reversed(band)]
            drawn.append(_band([(x(at), y(value)) for at, value in around], looks[name]))
        drawn.append(_curve([(x(one) + shift, y(value)) for one, value in curve], looks[name]))
        drawn += [looks[name].bar(x(one) + shift, y(low), y(high)) for one, low, high in bars.get(name, ())]
        drawn += [looks[name].point(x(one) + shift, y(value)) for one, value in curve if bars]
    if narrow:
        named, foot = legend(8, _HEIGHT + 14, [(labels[name], looks[name], name in bars) for name in labels])
        return svg(title, foot, [*drawn, *named], width)
    heights = apart([y(value) for value in ends.values()], y.start)
    for name, height in zip(ends, heights, strict=True):
        drawn += [
            key(width - side + 8, height, looks[name], name in bars),
            text(width - side + 42, height + 4, labels[name]),
        ]
    return svg(title, max(_HEIGHT, LINE * len(ends)), drawn, width)


def _range(
    curves: Sequence[Sequence[Point]],
    around: Sequence[Sequence[Interval]],
    levels: Sequence[Interval],
    bottom: float | None,
) -> Point:
    """The values at foot and top."""
    values = [value for curve in curves for _, value in curve]
    values += [value for one in around for _, *ends in one for value in ends]
    values += [value for level in levels for value in level]
    high = max(values)
    low = min(values) if bottom is None else bottom
    return (low - 0.06 * (high - low) if bottom is None else low), high if high > low else low + 1.0


def _axes(x: Axis, y: Axis, numbers: Sequence[float], right: float, title: str, across: str) -> list[str]:
    foot = y.start
    drawn = [f'<path d="M{_LEFT},{TOP}V{foot}H{right:.1f}" class="axis"/>']
    for value in ticks(y.low, y.high):
        drawn.append(f'<path d="M{_LEFT},{y(value):.1f}H{right:.1f}" class="grid"/>')
        drawn.append(text(_LEFT - 6, y(value) + 4, f"{value:.4g}", "end"))
    drawn += [text(x(number), foot + 18, f"{number:,.4g}", "middle") for number in numbers]
    drawn.append(text(_LEFT, TOP - 3, title))
    drawn.append(text((_LEFT + right) / 2, foot + 34, across, "middle"))
    return drawn


def _level(value: Interval, one: Look, y: Axis, right: float) -> list[str]:
    at, low, high = map(y, value)
    return [
        f'<path d="M{_LEFT},{low:.1f}H{right:.1f}V{high:.1f}H{_LEFT}z" fill="{one.colour}" opacity=".12"/>',
        f'<path d="M{_LEFT},{at:.1f}H{right:.1f}" {one.stroke}/>',
    ]


def _band(edge: Sequence[Point], one: Look) -> str:
    return f'<polygon fill="{one.colour}" opacity=".18" points="{_path(edge)}"/>'


def _curve(places: Sequence[Point], one: Look) -> str:
    return f'<polyline {one.stroke} points="{_path(places)}"/>'


def _path(places: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
