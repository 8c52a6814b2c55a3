"""Adapters that are at no start: magnitudes and scales around 1, all else around 0."""

import numpy as np
from flax.traverse_util import unflatten_dict

from fiat_jax.checkpoints.peft_tensors import slots


def random_weights(adapter, config, seed=0):
    """The collection 'adapter' of a model with this config, as float32 numpy arrays."""
    random, parts, whole = np.random.default_rng(seed), {}, set()
    for slot in slots(adapter, config).values():
        centre = float(slot.path.endswith(("magnitude", "scale")))
        values = random.normal(size=slot.shape, scale=0.3, loc=centre).astype(np.float32)
        parts.setdefault(slot.path, []).append(values)
        whole |= {slot.path} if slot.layer is None else set()
    arrays = {path: some[0] if path in whole else np.stack(some) for path, some in parts.items()}
    return unflatten_dict(arrays, sep="/")
