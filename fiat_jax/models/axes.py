"""How activations lie on a mesh: the names of their axes, as `fiat_jax.parallel` maps them to it.

An axis without a name is not split.
"""

from functools import partial

import flax.linen as nn

STATES = ("batch", "length", None)  # [B, S, D]
HIDDEN = ("batch", None, "mlp")  # [B, S, F], inside the feed-forward layer
HEADS = ("batch", None, "heads", None)  # [B, S, N, H]
CACHE = ("batch", "heads", None, None)  # [B, N, H, K] or [B, N, K, H]
LOGITS = ("batch", None, "vocab")  # [B, T, V]
SPLIT_LOGITS, SPLIT_HEAD = ("rows", None, "words"), (None, "words")  # the same of a vocabulary split further
TOKENS = (None, None)  # [B, T], an answer

constrain = partial(nn.with_logical_constraint, fallback=nn.spmd.RulesFallback.RAISE_ERROR)
"""Places an array by the names of its axes; a name without a rule, or two that want one axis, raise."""
