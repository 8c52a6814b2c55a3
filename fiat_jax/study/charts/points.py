"""One thing against another."""

from collections.abc import Mapping

from fiat_jax.study.charts.drawing import (
    LINE,
    NARROW,
    TOP,
    WIDE,
    Axis,
    Interval,
    Look,
    length,
    looks_of,
    svg,
    text,
    ticks,
)

_LEFT, _HEIGHT = 46, 280


def points(
    title: str,
    places: Mapping[str, tuple[float, Interval]],
    across: str,
    hollow: frozenset[str] = frozenset(),
    width: float = WIDE,
    looks: Mapping[str, Look] | None = None,
) -> str:
    """A point for each of several, with its interval, and a legend from the top down as they stand.

    Args:
      title: what is read up the side.
      places: by name, what is read from left to right, and (value, low, high) of what is read up the side.
      across: what is read from left to right.
      hollow: whose marks are not filled.
      width: of the picture.
      looks: by name, where other pictures have the same.
    """
    looks = looks or looks_of(places)
    narrow = width <= NARROW
    right = width - (14 if narrow else length(places) + 44)
    ends = [end for _, (_, low, high) in places.values() for end in (low, high)]
    y = Axis(min(ends), max(ends), _HEIGHT - 48, TOP + 6)
    x = Axis(0.0, max(at for at, _ in places.values()) or 1.0, _LEFT + 10, right - 10)
    drawn = [
        f'<path d="M{_LEFT},{TOP}V{_HEIGHT - 42}H{right:.1f}" class="axis"/>',
        text(_LEFT, TOP - 3, title),
    ]
    for value in ticks(y.low, y.high):
        drawn.append(f'<path d="M{_LEFT},{y(value):.1f}H{right:.1f}" class="grid"/>')
        drawn.append(text(_LEFT - 6, y(value) + 4, f"{value:.4g}", "end"))
    for value in ticks(x.low, x.high, 3 if narrow else 5):
        drawn.append(text(x(value), _HEIGHT - 24, f"{value:,.4g}", "middle"))
    drawn.append(text((_LEFT + right) / 2, _HEIGHT - 8, across, "middle"))
    for name, (at, (value, low, high)) in places.items():
        drawn.append(looks[name].bar(x(at), y(low), y(high)))
        drawn.append(looks[name].point(x(at), y(value), name not in hollow))
    left, top = (14.0, _HEIGHT + 12.0) if narrow else (right + 14, TOP + 8.0)
    order = sorted(places, key=lambda name: -places[name][1][0])
    drawn += _legend(left, top, {name: looks[name] for name in order}, hollow)
    return svg(title, max(_HEIGHT, top + LINE * len(places)), drawn, width)


def _legend(x: float, y: float, looks: Mapping[str, Look], hollow: frozenset[str]) -> list[str]:
    drawn = []
    for at, (name, one) in enumerate(looks.items()):
        drawn.append(one.point(x, y + LINE * at, name not in hollow) + text(x + 12, y + LINE * at + 4, name))
    return drawn
