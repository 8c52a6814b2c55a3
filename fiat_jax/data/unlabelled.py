"""Rows without answers, as prediction gets them, to token ids; neither seqio nor TensorFlow is needed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fiat_jax.data.parts import unlabelled_rows
from fiat_jax.data.pipeline import Examples
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Variant
from fiat_jax.errors import DataError
from fiat_jax.records import open_jsonl


def read_inputs(path: str | Path, task: Task) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file of inputs, in order; a row without an id gets its line number as one.

    Raises:
      DataError: a row lacks a field of the template, or an id comes twice.
    """
    rows: list[dict[str, Any]] = []
    lines: dict[str, int] = {}
    with open_jsonl(path) as file:
        for number, row in unlabelled_rows(task, file, str(path)):
            id = row["id"]
            if id in lines:
                raise DataError(
                    f"{path}:{number}: expected each id once, but {id!r} is on line {lines[id]} too."
                )
            lines[id] = number
            rows.append(row)
    if not rows:
        raise DataError(f"{path}: expected at least one row, found none.")
    return rows


def encode_inputs(
    task: Task, variant: Variant, rows: Sequence[Mapping[str, Any]], rationales: Iterable[str]
) -> Examples:
    """Renders and tokenises rows as training does; their targets are the end alone.

    Args:
      task: its template, vocabulary and lengths.
      variant: what the model reads.
      rows: as `read_inputs` gives them.
      rationales: one a row; ignored unless the variant is fiat.

    Raises:
      DataError: a row does not fit; the message names it.
    """
    tokens = task.tokens()
    fitted = [
        task.template.fit(
            variant,
            task.input_fields(row),
            rationale,
            tokens,
            task.inputs_length,
            f"example {row['id']}",
        )
        for row, rationale in zip(rows, rationales, strict=True)
    ]
    inputs = tuple(np.array([*tokens.encode(text), tokens.eos_id], np.int32) for text, _ in fitted)
    return Examples(
        ids=tuple(row["id"] for row in rows),
        languages=tuple(row["language"] for row in rows),
        answers=((),) * len(rows),
        texts=tuple(text for text, _ in fitted),
        inputs=inputs,
        targets=(np.array([tokens.eos_id], np.int32),) * len(rows),
        cut=tuple(cut for _, cut in fitted),
        unknown=tuple(int((row == tokens.unk_id).sum()) for row in inputs),
        pad_id=tokens.pad_id,
    )
