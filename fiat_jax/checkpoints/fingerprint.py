"""Which base an adapter was made for, told by the weights themselves and not by where they came from."""

import hashlib
import json
from collections.abc import Mapping

import ml_dtypes
import numpy as np

from fiat_jax.checkpoints.tensors import Tensor

_ROWS = 4


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """A fingerprint of a base: 16 hexadecimal digits, the first of a SHA-256.

    It covers the name and shape of every tensor, all values of a vector, and four rows spread over a matrix,
    rounded to bfloat16. So it takes seconds for the largest T5, and is the same however the tensors lie in
    files and whether they are kept in float32 or bfloat16. Weights that differ only between those rows share
    a fingerprint: it tells models apart, and does not prove that a file is whole.

    Args:
      tensors: by their names, with one embedding, and without a head that is the embedding.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, *tensor.shape]).encode())
        for part in _sample(tensor.shape):
            digest.update(tensor.read(part).astype(np.float32).astype(ml_dtypes.bfloat16).tobytes())
    return digest.hexdigest()[:16]


def _sample(shape: tuple[int, ...]) -> list[range]:
    rows = shape[0]
    if len(shape) == 1:
        return [range(rows)]
    picked = [(rows - 1) * number // (_ROWS - 1) for number in range(_ROWS)]
    return [range(row, row + 1) for row in picked]
