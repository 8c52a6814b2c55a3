"""The scores of a split as tables, of a row of metrics.jsonl or what will be one."""

from collections.abc import Mapping, Sequence

from fiat_jax.data.metrics import LABELS
from fiat_jax.data.metrics.places import OVERALL, within

Table = list[list[str]]
"""Rows of cells, the head first; the first cell of a row names it."""


def headline_of(row: Mapping[str, float]) -> str:
    """The name of the score that matters most."""
    return next(name for name in row if name in LABELS)


def score_table(row: Mapping[str, float]) -> Table:
    """A line for each language and group, then the mean: scores, the headline's interval if known, and n."""
    names = [name for name in row if name in LABELS]
    sure = [name for name in names[:1] if f"{name}_low" in row]
    places = _places(row)
    head = ["", *(cell for name in names for cell in _heads(LABELS[name], name in sure)), "n"]
    body = [
        [
            _name(place, places),
            *(cell for name in names for cell in _cells(row, place, name, 1, name in sure)),
            f"{row[within(place, 'n')]:.0f}",
        ]
        for place in places
    ]
    return [head, *body]


def label_tables(row: Mapping[str, float]) -> list[Table]:
    """What is known of ranked labels, and of each where there are two; nothing where none were ranked."""
    if "label_accuracy" not in row:
        return []
    known = [f"{row[name]:.3f}" for name in ("label_accuracy", "nll", "ece", "temperature")]
    tables = [[["labels", "accuracy", "NLL", "ECE", "temperature"], ["all", *known]]]
    labels = [name.removeprefix("prevalence_") for name in row if name.startswith("prevalence_")]
    if not labels:
        return tables
    head = [cell for label in labels for cell in (*_heads(f"AUC-PR {label}", True), "by chance")]
    places, body = _places(row), []
    for place in places:
        cells = [_name(place, places)]
        for label in labels:
            cells += _cells(row, place, f"auc_pr_{label}", 3, True)
            cells += _cells(row, place, f"prevalence_{label}", 3, False)
        body.append([*cells, *_cells(row, place, "roc_auc", 3, True)])
    return [*tables, [["", *head, *_heads("ROC-AUC", True)], *body]]


def aligned(table: Table) -> list[str]:
    """A table as lines of text, all but the first column to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    first = max(widths[0], 8)
    return [
        f"{name:<{first}}"
        + "".join(f"  {cell:>{max(width, 5)}}" for cell, width in zip(cells, widths[1:], strict=True))
        for name, *cells in table
    ]


def _places(row: Mapping[str, float]) -> list[str]:
    end = f"/{headline_of(row)}"
    return [*(name.removesuffix(end) for name in row if name.endswith(end)), OVERALL]


def _name(place: str, places: Sequence[str]) -> str:
    return place or ("mean" if len(places) > 1 else "all")


def _heads(label: str, interval: bool) -> list[str]:
    return [label, "95 %"] if interval else [label]


def _cells(row: Mapping[str, float], place: str, name: str, digits: int, interval: bool) -> list[str]:
    name = within(place, name)
    cells = [f"{row[name]:.{digits}f}"]
    if interval:
        cells.append(f"{row[f'{name}_low']:.{digits}f} to {row[f'{name}_high']:.{digits}f}")
    return cells
