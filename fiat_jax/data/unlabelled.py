"""Rows without answers, as prediction gets them, to token ids; neither seqio nor TensorFlow is needed."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fiat_jax.data.parts import unlabelled_rows
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Cut, Variant
from fiat_jax.data.vocabularies import Tokens
from fiat_jax.errors import DataError
from fiat_jax.records import open_jsonl


def walk_inputs(path: str | Path, task: Task) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of a JSON-lines file of inputs; a row without an id gets its line number as one.

    Raises:
      DataError: a row lacks a field of the template.
    """
    with open_jsonl(path) as file:
        yield from unlabelled_rows(task, file, str(path))


def check_inputs(
    path: str | Path, task: Task, check: Callable[[dict[str, Any], str], object] | None = None
) -> int:
    """Walks a file of inputs once, holding eight bytes a row, and counts the rows.

    Args:
      path: the file.
      task: whose template reads it.
      check: called with each row and where it stands, to find more that is wrong.

    Raises:
      DataError: there is no row, one is wrong, or an id comes twice.
    """
    hashes = array("q")
    for number, row in walk_inputs(path, task):
        if check is not None:
            check(row, f"{path}:{number}")
        hashes.append(hash(row["id"]))
    if not hashes:
        raise DataError(f"{path}: expected at least one row, found none.")
    ordered = np.sort(np.frombuffer(hashes, np.int64))
    alike = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if alike:
        _refuse_twins(path, task, alike)
    return len(hashes)


def _refuse_twins(path: str | Path, task: Task, alike: set[int]) -> None:
    """Names an id that comes twice, if ids of the same hash are the same."""
    lines: dict[str, int] = {}
    for number, row in walk_inputs(path, task):
        id = row["id"]
        if id in lines:
            raise DataError(f"{path}:{number}: expected each id once, but {id!r} is on line {lines[id]} too.")
        if hash(id) in alike:
            lines[id] = number


def read_inputs(path: str | Path, task: Task) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file of inputs, in order.

    Raises:
      DataError: as `check_inputs`.
    """
    check_inputs(path, task)
    return [row for _, row in walk_inputs(path, task)]


def encode_input(
    task: Task, tokens: Tokens, variant: Variant, row: Mapping[str, Any], rationale: str | None
) -> tuple[np.ndarray, Cut]:
    """Renders and tokenises a row as training does.

    Args:
      task: its template and lengths.
      tokens: its vocabulary.
      variant: what the model reads.
      row: as `Task.unlabelled` gives it.
      rationale: ignored unless the variant is fiat, which without one reads as instruction does.

    Returns:
      int32 [S] ids with the end, and what was shortened to fit, and by how much.

    Raises:
      DataError: the row does not fit; the message names it.
    """
    filling, name = task.filling(row, rationale or ""), f"example {row['id']}"
    fitted = task.template.fit(variant, filling, tokens, task.inputs_length, name)
    return np.array([*tokens.encode(fitted.text), tokens.eos_id], np.int32), fitted.cut
