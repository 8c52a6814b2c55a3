"""A run folder as one static page: what it learned, how it scores, and what it says."""

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from fiat_jax.data.metrics import LABELS
from fiat_jax.study.charts import lines
from fiat_jax.study.page import pair, table, write_page
from fiat_jax.study.score_tables import headline_of, label_tables, score_table

SAMPLES = 20
"""Predictions shown of each split."""


def write_report(run_dir: Path) -> Path:
    """Writes report.html from the metrics and predictions of a run folder.

    Args:
      run_dir: with metrics.jsonl; predictions/*.jsonl and config.gin are shown where they are.

    Returns:
      The page's path.
    """
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    splits = {row["split"]: row for row in rows if row["split"] != "train"}  # the last of each
    parts: list[str] = []
    titles = {"loss": "Loss, nats a target token"}
    if "validation" in splits:
        headline = headline_of(splits["validation"])
        titles[headline] = f"{LABELS[headline]} on validation"
    for name, title in titles.items():
        curves = {split: _series(rows, split, name) for split in ("train", "validation")}
        parts += _chart(title, {split: points for split, points in curves.items() if len(points) > 1})
    parts += [_scores(split, row) for split, row in splits.items()]
    for path in sorted((run_dir / "predictions").glob("*.jsonl")):
        parts.append(_samples(path))
    config = run_dir / "config.gin"
    if config.exists():
        parts.append(f"<h2>Configuration</h2><pre>{escape(config.read_text(encoding='utf-8'))}</pre>")
    page = run_dir / "report.html"
    write_page(page, run_dir.name, parts)
    return page


def _series(rows: Iterable[dict[str, Any]], split: str, name: str) -> list[tuple[float, float]]:
    return [(row["step"], row[name]) for row in rows if row["split"] == split and name in row]


def _chart(title: str, curves: dict[str, list[tuple[float, float]]]) -> list[str]:
    """A line chart from zero; nothing where there is nothing to draw."""
    if not curves:
        return []
    return [f"<h2>{title}</h2>", *pair(lambda width: lines(title, curves, "step", width=width))]


def _scores(split: str, row: dict[str, Any]) -> str:
    tables = [score_table(row), *label_tables(row)]
    shown = "".join(table(head, body, numbers=len(head) - 1) for head, *body in tables)
    return f"<h2>{escape(split)}, step {row['step']}</h2>{shown}"


def _samples(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line, _ in zip(file, range(SAMPLES), strict=False)]
    body = [(row["id"], row["prediction"], " | ".join(row["answers"])) for row in rows]
    return f"<h2>First answers of {escape(path.stem)}</h2>" + table(("id", "prediction", "expected"), body)
