"""What is learned on top of a frozen base.

An adapter is a frozen dataclass that says what is learned, where, and what it does. Its weights live in the
variable collection 'adapter', beside and never inside the base's 'params':

    {'params': base, 'adapter': adapter}

There are three kinds, by what they change of the model:

- `projection`: a linear layer's product. `lora` (and rsLoRA), `dora`, `ia3`; `merge` puts them into the base,
  and `bank` has many of LoRA in one batch.
- `prefix`: the keys and values that an attention sees.
- `soft_prompt`: the input of the encoder.

`targets` has patterns over module paths, and the table of what they matched.
"""

from fiat_jax.adapters.bank import BASE, LoRABank, bank, check_kind, for_rows
from fiat_jax.adapters.dora import DoRA
from fiat_jax.adapters.ia3 import IA3
from fiat_jax.adapters.lora import LoRA
from fiat_jax.adapters.merge import by_place, largest_change, merge, unmerge
from fiat_jax.adapters.prefix import PrefixTuning
from fiat_jax.adapters.projection import ProjectionAdapter, Weight
from fiat_jax.adapters.soft_prompt import SoftPrompt
from fiat_jax.adapters.targets import check_targets, target_table

Learnable = LoRA | DoRA | IA3 | PrefixTuning | SoftPrompt
"""What a run may learn."""

Adapter = Learnable | LoRABank
"""What may change a model."""

__all__ = [
    "BASE",
    "IA3",
    "Adapter",
    "DoRA",
    "Learnable",
    "LoRA",
    "LoRABank",
    "PrefixTuning",
    "ProjectionAdapter",
    "SoftPrompt",
    "Weight",
    "bank",
    "by_place",
    "check_kind",
    "check_targets",
    "for_rows",
    "largest_change",
    "merge",
    "target_table",
    "unmerge",
]
