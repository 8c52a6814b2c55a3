"""What is learned on top of a frozen base.

An adapter is a frozen dataclass that says which projections it adapts and how. Its weights live in the
variable collection 'adapter', beside and never inside the base's 'params':

    {'params': base, 'adapter': adapter}

- `lora`: the low-rank update of a projection, and its merge into the base.
- `targets`: patterns over module paths, the table of what they matched, and counts.
"""

from fiat_jax.adapters.lora import LoRA, lora_delta, lora_projection, merge
from fiat_jax.adapters.targets import check_targets, target_table

__all__ = ["LoRA", "check_targets", "lora_delta", "lora_projection", "merge", "target_table"]
