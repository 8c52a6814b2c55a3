"""The history of a search as a picture and a static page."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from fiat_jax.reasoning.search import Outcome
from fiat_jax.records import write_whole
from fiat_jax.study import page
from fiat_jax.study.charts import STYLE
from fiat_jax.study.page import table

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 260, 56, 150, 26, 34
_COLOURS = {
    "start": "currentColor",
    "ape": "#5b7db1",
    "paraphrase": "#8aa4c8",
    "opro": "#c2542d",
    "bootstrap": "#5c8a4a",
}
_CROSS = "m-5,-5l10,10m0,-10l-10,10"


class _Tried(NamedTuple):
    """A candidate in the order of the search, with its mean on each part; None where it was not scored."""

    entry: Mapping[str, Any]
    minibatch: float | None
    score: float | None
    confirm: float | None


def write_page(run_dir: Path, entries: Sequence[Mapping[str, Any]], outcome: Outcome | None) -> None:
    """Writes history.svg and report.html.

    Args:
      run_dir: the folder.
      entries: of the history; with none, nothing is written.
      outcome: what the search has come to; None where it is not at its end.
    """
    tried = _tried(entries)
    if not tried:
        return
    chart = draw(tried)
    write_whole(run_dir / "history.svg", chart)
    state = "not at its end yet" if outcome is None else str(outcome)
    parts = [
        f"<p>{escape(state)}</p>",
        f"<h2>Scores in the order of the search</h2>{chart}",
        f"<h2>Candidates</h2>{_candidates(tried)}",
    ]
    page.write_page(run_dir / "report.html", run_dir.name, parts)


def _tried(entries: Sequence[Mapping[str, Any]]) -> list[_Tried]:
    first: dict[str, Mapping[str, Any]] = {}
    means: dict[tuple[str, str], float | None] = {}
    for entry in entries:
        first.setdefault(entry["name"], entry)
        means[entry["name"], entry["part"]] = entry["score"]
    return [
        _Tried(entry, *(means.get((name, part)) for part in ("minibatch", "score", "confirm")))
        for name, entry in first.items()
    ]


def draw(tried: Sequence[_Tried]) -> str:
    """The picture: a dot a candidate on the minibatch, the best so far as a line, full scores as rings.

    The start's dot is its full score. Crosses are the scores on untouched examples.
    """
    start = tried[0].score
    assert start is not None
    dots = [(0, tried[0], start)]
    dots += [(at, one, one.minibatch) for at, one in enumerate(tried) if one.minibatch is not None]
    rings = [(at, one, one.score) for at, one in enumerate(tried) if at and one.score is not None]
    crosses = [(at, one, one.confirm) for at, one in enumerate(tried) if one.confirm is not None]
    low, high = _range([mean for _, _, mean in dots + rings + crosses])
    base, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT

    def x(at: float) -> str:
        return f"{_LEFT + 12 + (right - _LEFT - 24) * at / max(len(tried) - 1, 1):.1f}"

    def y(value: float) -> str:
        return f"{base - (base - _TOP) * (value - low) / (high - low):.1f}"

    def circle(at: int, one: _Tried, mean: float, look: str) -> str:
        title = f"<title>{escape(one.entry['name'])}: {mean:.3f}</title>"
        return f'<circle cx="{x(at)}" cy="{y(mean)}" {look}>{title}</circle>'

    def cross(at: int, one: _Tried, mean: float) -> str:
        return f'<path d="M{x(at)},{y(mean)}{_CROSS}" stroke="{_paint(one)}" stroke-width="1.6"/>'

    steps, best = f"M{x(0)},{y(start)}", start
    for at, _, mean in dots:
        best = max(best, mean)
        steps += f"H{x(at)}V{y(best)}"
    marks = [
        f'<path d="M{_LEFT},{_TOP}V{base}H{right}" fill="none" stroke="#bbb"/>',
        *(_text(_LEFT - 8, float(y(value)) + 4, f"{value:.3g}", "end") for value in (low, high)),
        _text(right, base + 20, f"candidate {len(tried) - 1}", "end"),
        f'<path d="M{_LEFT},{y(start)}H{right}" stroke="currentColor" stroke-dasharray="4 4"/>',
        f'<path d="{steps}" fill="none" stroke="#999" stroke-width="1.4"/>',
        *(circle(*dot, f'r="4" fill="{_paint(dot[1])}"') for dot in dots),
        *(circle(*ring, f'r="7" fill="none" stroke="{_paint(ring[1])}"') for ring in rings),
        *(cross(*one) for one in crosses),
        _legend({_method(one): _paint(one) for _, one, _ in dots}),
    ]
    label = "Scores of candidates in the order of the search"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}"><style>{STYLE}</style>'
        f"{''.join(marks)}</svg>\n"
    )


def _legend(methods: Mapping[str, str]) -> str:
    left = _WIDTH - _RIGHT + 16
    line = f'<path d="M{left - 7},TOPh14" stroke='
    keys = {name: f'<circle cx="{left}" cy="TOP" r="4" fill="{paint}"/>' for name, paint in methods.items()}
    keys |= {
        "on all examples": f'<circle cx="{left}" cy="TOP" r="6" fill="none" stroke="#777"/>',
        "untouched ones": f'<path d="M{left},TOP{_CROSS}" stroke="#777" stroke-width="1.6"/>',
        "best so far": f'{line}"#999" stroke-width="1.4"/>',
        "the start, on all": f'{line}"currentColor" stroke-dasharray="4 4"/>',
    }
    tops = (_TOP + 19 * at for at in range(len(keys)))
    return "".join(
        mark.replace("TOP", str(top)) + _text(left + 14, top + 4, text)
        for top, (text, mark) in zip(tops, keys.items(), strict=True)
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    """From zero for shares; for log-likelihoods around what there is."""
    low, high = min(values), max(values)
    if low >= 0:
        return 0.0, high or 1.0
    margin = 0.1 * (high - low) or 0.1 * abs(low)
    return low - margin, high + margin


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _method(one: _Tried) -> str:
    return str(one.entry["name"]).partition("-")[0]


def _paint(one: _Tried) -> str:
    return _COLOURS[_method(one)]


def _candidates(tried: Sequence[_Tried]) -> str:
    def shown(mean: float | None) -> str:
        return "" if mean is None else f"{mean:.3f}"

    body = []
    for one in tried:
        said = one.entry["instruction"]
        if one.entry["exemplars"]:
            said += f" [exemplars: {', '.join(one.entry['exemplars'])}]"
        if "refused" in one.entry:
            said += f" [not tried: {one.entry['refused']}]"
        means = map(shown, one[1:])
        body.append((one.entry["name"], one.entry["parent"] or "", said, *means))
    return table(("name", "from", "prompt", "minibatch", "all", "confirm"), body, numbers=3)
