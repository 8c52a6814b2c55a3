"""Line charts, intervals and histograms as SVG, in the looks of a run's report."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import cycle

Point = tuple[float, float]

COLOURS = ("#8aa4c8", "#c2542d", "#5f8f6b", "#8b6aa8", "#b0904a", "#555")
STYLE = "svg text { font: 12px system-ui, sans-serif; fill: #555 }"

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 740, 260, 56, 250, 12, 40
_LINE = 14
_WITHIN = f'fill="{COLOURS[0]}"'
_BEYOND = f'fill="none" stroke="{COLOURS[1]}" stroke-width="1.5"'


def lines(
    title: str,
    curves: Mapping[str, Sequence[Point]],
    across: str,
    bottom: float = 0.0,
    bands: Mapping[str, Sequence[tuple[float, float, float]]] | None = None,
) -> str:
    """A chart of curves over one axis, each named at its end.

    Args:
      title: what is read up the side.
      curves: points by name, from left to right.
      across: what is read from left to right.
      bottom: the value at the foot.
      bands: by the same names, (x, low, high) of what is shaded around a curve.
    """
    bands = bands or {}
    points = [point for curve in curves.values() for point in curve]
    highs = [high for band in bands.values() for _, _, high in band]
    right, top = max(x for x, _ in points) or 1.0, max([y for _, y in points] + highs)
    foot, wide = _HEIGHT - _BOTTOM, _WIDTH - _LEFT - _RIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + wide * x / right, foot - (foot - _TOP) * (y - bottom) / ((top - bottom) or 1.0)

    drawn, ends = [], []
    for (name, curve), colour in zip(curves.items(), cycle(COLOURS)):
        if band := bands.get(name):
            edge = [(x, low) for x, low, _ in band] + [(x, high) for x, _, high in reversed(band)]
            drawn.append(f'<polygon fill="{colour}" opacity=".18" points="{_path(edge, place)}"/>')
        drawn.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{_path(curve, place)}"/>'
        )
        label = f'style="fill:{colour}">{escape(name)} {curve[-1][1]:.3g}'
        ends.append((place(*curve[-1])[1], label))
    drawn += [f'<text x="{_LEFT + wide + 6}" y="{y:.1f}" {label}</text>' for y, label in _apart(ends, foot)]
    axes = [
        f'<path d="M{_LEFT},{_TOP}V{foot}H{_LEFT + wide}" fill="none" stroke="#bbb"/>',
        f'<text x="{_LEFT - 8}" y="{_TOP + 8}" text-anchor="end">{top:.3g}</text>',
        f'<text x="{_LEFT - 8}" y="{foot}" text-anchor="end">{bottom:.3g}</text>',
        f'<text x="{_LEFT}" y="{foot + 18}">0</text>',
        f'<text x="{_LEFT + wide}" y="{foot + 18}" text-anchor="end">{right:.3g}</text>',
        f'<text x="{_LEFT + wide / 2}" y="{foot + 32}" text-anchor="middle">{escape(across)}</text>',
    ]
    return _svg(title, _HEIGHT, axes + drawn)


def intervals(title: str, rows: Mapping[str, tuple[float, float, float]]) -> str:
    """A chart of values with their intervals, a line each.

    Args:
      title: what the values are.
      rows: (value, low, high) by name.
    """
    left, step, wide = 300, 24, _WIDTH - 300 - 70
    lows, highs = [low for _, low, _ in rows.values()], [high for _, _, high in rows.values()]
    start, end = min([*lows, 0.0] if min(lows) < 0 else lows), max([*highs, 0.0] if max(highs) < 0 else highs)

    def place(value: float) -> float:
        return left + wide * (value - start) / ((end - start) or 1.0)

    foot = _TOP + step * len(rows)
    drawn = [f'<path d="M{left},{foot}H{left + wide}" stroke="#bbb"/>']
    if start <= 0 <= end:
        drawn.append(f'<path d="M{place(0):.1f},{_TOP}V{foot}" stroke="#bbb"/>')
    for at, (name, (value, low, high)) in enumerate(rows.items()):
        y = _TOP + step * at + step / 2
        drawn += [
            f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{escape(name)}</text>',
            f'<path d="M{place(low):.1f},{y}H{place(high):.1f}" stroke="{COLOURS[0]}" stroke-width="3"/>',
            f'<circle cx="{place(value):.1f}" cy="{y}" r="4" fill="{COLOURS[1]}"/>',
            f'<text x="{left + wide + 12}" y="{y + 4}">{value:.1f}</text>',
        ]
    drawn += [
        f'<text x="{left}" y="{foot + 18}">{start:.1f}</text>',
        f'<text x="{left + wide}" y="{foot + 18}" text-anchor="end">{end:.1f}</text>',
        f'<text x="{left + wide / 2}" y="{foot + 32}" text-anchor="middle">{escape(title)}</text>',
    ]
    return _svg(title, foot + _BOTTOM, drawn)


def histogram(title: str, rows: Mapping[str, Sequence[int]], step: int, limit: int | None = None) -> str:
    """Histograms one above the other over one axis, each up to its own highest bar.

    Bars beyond a limit are outlined and not filled, and a legend says so.

    Args:
      title: what is read from left to right.
      rows: by name, how many are in 1 to step, step + 1 to 2 step, ...; a bar begins after the limit.
      step: the width of a bar.
      limit: the highest value that is within; None where there is no limit.
    """
    left, high, gap, width = 110, 44, 12, 560
    bins = max(map(len, rows.values()))
    inside = bins if limit is None else -(-limit // step)
    right = (bins if limit is None else bins - inside) * step + (limit or 0)
    wide, foot = width - left - 24, _TOP + (high + gap) * len(rows)
    drawn = []
    for at, (name, counts) in enumerate(rows.items()):
        base = _TOP + (high + gap) * (at + 1) - gap
        drawn += [
            f'<text x="{left - 10}" y="{base - 4}" text-anchor="end">{escape(name)}</text>',
            f'<path d="M{left},{base}h{wide}" stroke="#bbb"/>',
        ]
        bars = [
            f"M{left + wide * number / bins:.1f},{base}v{-high * count / max(counts):.1f}"
            f"h{wide / bins - 1:.1f}V{base}z"
            for number, count in enumerate(counts)
        ]
        for some, paint in ((slice(inside), _WITHIN), (slice(inside, None), _BEYOND)):
            if path := "".join(bar for bar, count in zip(bars[some], counts[some], strict=True) if count):
                drawn.append(f'<path d="{path}" {paint}/>')
    drawn += [
        f'<text x="{left}" y="{foot + 14}">0</text>',
        f'<text x="{left + wide}" y="{foot + 14}" text-anchor="end">{right:,}</text>',
        f'<text x="{left + wide / 2}" y="{foot + 14}" text-anchor="middle">{escape(title)}</text>',
    ]
    if limit is not None:
        x = left + wide * inside / bins
        drawn.append(f'<path d="M{x:.1f},{_TOP}V{foot}" stroke="#777" stroke-dasharray="4 4"/>')
        keys = {f"up to {limit:,}": _WITHIN, "longer": _BEYOND}
        for number, (name, paint) in enumerate(keys.items()):
            x = left + 150 * number
            drawn.append(f'<rect x="{x}" y="{foot + 26}" width="12" height="12" {paint}/>')
            drawn.append(f'<text x="{x + 18}" y="{foot + 36}">{escape(name)}</text>')
    return _svg(title, foot + (46 if limit is not None else 22), drawn, width)


def _path(curve: Sequence[Point], place: Callable[[float, float], Point]) -> str:
    return " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in curve)


def _apart(labels: list[tuple[float, str]], foot: float) -> list[tuple[float, str]]:
    """Labels moved down where they would stand on one another, and all up where they would pass the foot."""
    moved: list[tuple[float, str]] = []
    for y, label in sorted(labels):
        moved.append((max(y + 4, moved[-1][0] + _LINE) if moved else y + 4, label))
    most = foot + 4 + _LINE
    for at in reversed(range(len(moved))):
        most -= _LINE
        moved[at] = min(moved[at][0], most), moved[at][1]
    return moved


def _svg(title: str, height: float, parts: Sequence[str], width: int = _WIDTH) -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'
    return f"{head}<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
