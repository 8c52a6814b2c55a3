"""Short examples that share the rows of a batch.

    inputs           a a a a b b b 0        segments of inputs     1 1 1 1 2 2 2 0
    targets          x x y y y 0 0 0        segments of targets    1 1 2 2 2 0 0 0

The model keeps examples apart by these segments, in every attention; T5 knows positions by their distance
alone, so that an example reads the same wherever it stands. Loss and gradients are those of the examples in
rows of their own.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np

from fiat_jax.typing import Batch


def packed(
    inputs: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    widths: tuple[int, int],
    multiple: int,
    pad_id: int,
) -> Batch:
    """A batch of examples in as few rows as are found for them.

    The longest are placed first, each into the first row that has room for it.

    Args:
      inputs, targets: token ids of the examples; none is longer than its width.
      widths: tokens of a row's inputs, and of its targets.
      multiple: the rows are a multiple of this; the last may be empty.
      pad_id: what fills up.
    """
    rows = _rows(inputs, targets, widths)
    count = -(-len(rows) // multiple) * multiple
    shapes = {"inputs": (count, widths[0]), "targets": (count, widths[1])}
    batch = {name: np.full(shape, pad_id, np.int32) for name, shape in shapes.items()}
    batch |= {f"{name}_segments": np.zeros(shape, np.int32) for name, shape in shapes.items()}
    for at, row in enumerate(rows):
        for name, tokens in (("inputs", inputs), ("targets", targets)):
            start = 0
            for segment, example in enumerate(row, start=1):
                end = start + len(tokens[example])
                batch[name][at, start:end] = tokens[example]
                batch[f"{name}_segments"][at, start:end] = segment
                start = end
    batch["weights"] = (batch["targets_segments"] > 0).astype(np.float32)
    return cast(Batch, batch)


def _rows(
    inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray], widths: tuple[int, int]
) -> list[list[int]]:
    """Which examples each row has."""
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []
    for example in np.argsort([-len(one) for one in inputs], kind="stable").tolist():
        needed = len(inputs[example]), len(targets[example])
        at = next(
            (at for at, (left, right) in enumerate(room) if needed[0] <= left and needed[1] <= right), None
        )
        if at is None:
            at = len(rows)
            rows.append([])
            room.append(widths)
        rows[at].append(example)
        room[at] = room[at][0] - needed[0], room[at][1] - needed[1]
    return rows
