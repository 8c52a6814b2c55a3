"""What each line costs, against how well it answers."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean

from fiat_jax.study.charts import points
from fiat_jax.study.comparing.report.blocks import Picture, Section, Table, Text
from fiat_jax.study.comparing.report.found import Found, at_size
from fiat_jax.study.comparing.report.line import Line
from fiat_jax.study.comparing.results import Result


def costs(found: Found) -> Section:
    """The picture and the table, at the largest size."""
    title = "Cost against quality"
    if not found.runs:
        return Section(title, [])
    size = found.largest
    its = {line: found.results[found.place(line, size)] for line in found.at(size)}
    per_answer = {line: _of_reasoner(found, line, results) for line, results in its.items()}
    priced = any(price is not None for _, price in per_answer.values())
    head = [
        "paradigm",
        found.study.unit,
        "weights\nlearned",
        "tokens\nin tuning",
        "seconds: tuning\nanswering",
    ]
    head += ["reasoner\nasked", "its tokens\nan answer", *(["price of\n1,000 answers"] if priced else [])]
    rows = []
    for line, results in its.items():
        score = found.estimates[found.place(line, size)]
        tokens, price = per_answer[line]
        row = [
            line.label,
            f"{score.value:.1f}\n({score.low:.1f} to {score.high:.1f})",
            f"{results[0].learned:,}",
            f"{_mean(results, lambda one: one.train_tokens):,.0f}",
            f"{_mean(results, lambda one: one.train_seconds):,.0f}\n"
            f"{_mean(results, lambda one: one.answer_seconds):,.1f}",
            f"{100 * _mean(results, lambda one: one.asked):.0f} %",
            "" if tokens is None else f"{tokens:,.0f}",
        ]
        rows.append([*row, "" if price is None else f"${1000 * price:,.2f}"] if priced else row)
    table = Table(head, rows, numbers=len(head) - 1, title=f"Cost{at_size(size)}, means over seeds")
    return Section(title, [_picture(found, size, its), Text(_how(found, its)), table])


def _picture(found: Found, size: int | None, its: Mapping[Line, Sequence[Result]]) -> Picture:
    places = {}
    for line, results in its.items():
        score = found.estimates[found.place(line, size)]
        seconds = _mean(results, lambda one: one.train_seconds)
        places[line.label] = (seconds, (score.value, score.low, score.high))
    hollow = frozenset(
        line.label for line, results in its.items() if _mean(results, lambda one: one.asked) < 1
    )

    def draw(width: float) -> str:
        return points(found.study.unit, places, "seconds of tuning", hollow, width, found.looks)

    note = (
        "Filled marks ask the reasoner about every answer, outlined ones about some or none. Bars are "
        "intervals of 95 %."
    )
    return Picture("costs", f"{found.study.unit} against the time of tuning{at_size(size)}", draw, note)


def _of_reasoner(found: Found, line: Line, results: Sequence[Result]) -> tuple[float | None, float | None]:
    """Tokens and price of the reasoner for an answer, where they are known."""
    asked = _mean(results, lambda one: one.asked)
    reasoner = found.study.reasoner
    about = reasoner.get(line.prompt, next(iter(reasoner.values()), {}))
    tokens, price = (asked * about[name] if name in about else None for name in ("tokens", "price"))
    return tokens, price


def _how(found: Found, its: Mapping[Line, Sequence[Result]]) -> str:
    devices = sorted({one.device for results in its.values() for one in results if one.device})
    said = (
        "Seconds are those of a cell, compiling among them; what was tuned once for several paradigms has "
        "its seconds in each. The reasoner's tokens are counted in the tuned model's vocabulary."
    )
    if len(devices) > 1:
        said += f" Cells ran on unlike devices ({', '.join(devices)}): their seconds cannot be compared."
    return said if found.study.reasoner else f"{said} What the reasoner costs is not known."


def _mean(results: Sequence[Result], of: Callable[[Result], float]) -> float:
    return mean(map(of, results))
