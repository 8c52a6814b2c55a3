"""Scores in each language."""

from fiat_jax.study.charts import groups
from fiat_jax.study.comparing.report.blocks import Picture, Section, Table, Text
from fiat_jax.study.comparing.report.found import Found, at_size, estimated, interval, named
from fiat_jax.study.comparing.report.line import Line
from fiat_jax.study.comparing.report.rivals import KINDS, best_of, reference
from fiat_jax.study.statistics import Estimate, Score


def by_language(found: Found) -> Section:
    """Dots with intervals for the main lines at the largest size, and the table of all."""
    title = "Languages"
    if not found.runs:
        return Section(title, [])
    if len(found.languages) < 2:
        return Section(title, [Text("The test examples are of one language, or none is named.")])
    size = found.largest
    of_each = _estimates(found, size)
    main = _main(found, size)
    rows = {
        named(language): {line.label: interval(its[line]) for line in main}
        for language, its in of_each.items()
    }
    unit = found.study.unit

    def draw(width: float) -> str:
        return groups(unit, rows, width, found.looks)

    note = f"The reference, and the best of each kind{at_size(size)}, with intervals of 95 %."
    head = ["paradigm", *(f"{named(language)}, n = {found.counts[language]:,}" for language in of_each)]
    body = [
        [
            line.label,
            *(
                f"{its[line].value:.1f}\n({its[line].low:.1f} to {its[line].high:.1f})"
                for its in of_each.values()
            ),
        ]
        for line in found.at(size)
    ]
    table = Table(head, body, numbers=len(of_each), title=f"{unit}{at_size(size)}, with intervals of 95 %")
    return Section(title, [Picture("languages", f"{unit} by language", draw, note), table])


def _estimates(found: Found, size: int | None) -> dict[str, dict[Line, Estimate]]:
    runs = {line: found.runs[found.place(line, size)] for line in found.at(size)}
    return {name: estimated(runs, Score((name,)), found.resamples) for name in found.languages}


def _main(found: Found, size: int | None) -> list[Line]:
    one = reference(found, size)
    if one is None:
        return []
    best = [best_of(found, one, kind, size) for kind in KINDS]
    return [one, *(line for line in best if line)]
