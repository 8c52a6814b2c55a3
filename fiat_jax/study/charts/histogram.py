"""Histograms one above the other."""

from collections.abc import Mapping, Sequence
from html import escape

from fiat_jax.study.charts.drawing import TOP, svg

_WITHIN = 'fill="#8aa4c8"'
_BEYOND = 'fill="none" stroke="#c2542d" stroke-width="1.5"'


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
    wide, foot = width - left - 24, TOP + (high + gap) * len(rows)
    drawn = []
    for at, (name, counts) in enumerate(rows.items()):
        base = TOP + (high + gap) * (at + 1) - gap
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
        drawn.append(f'<path d="M{x:.1f},{TOP}V{foot}" stroke="#777" stroke-dasharray="4 4"/>')
        keys = {f"up to {limit:,}": _WITHIN, "longer": _BEYOND}
        for number, (name, paint) in enumerate(keys.items()):
            x = left + 150 * number
            drawn.append(f'<rect x="{x}" y="{foot + 26}" width="12" height="12" {paint}/>')
            drawn.append(f'<text x="{x + 18}" y="{foot + 36}">{escape(name)}</text>')
    return svg(title, foot + (46 if limit is not None else 22), drawn, width)
