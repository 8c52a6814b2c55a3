"""What the tuned model reads and writes of an example.

- `template`: the template, and the readings of it.
- `instructions`: which of several written instructions an example gets.
- `verbalisers`: what is written for a label, and read back.
- `fitting`: a long input made to fit. `losses`: how much that takes from many.
"""

from fiat_jax.data.templates.fitting import RATIONALE, Cut, Filling, Fitted, Lost
from fiat_jax.data.templates.losses import Loss, Tally, describe_losses
from fiat_jax.data.templates.template import VARIANTS, Reading, Template, Variant, check_target

__all__ = [
    "RATIONALE",
    "VARIANTS",
    "Cut",
    "Filling",
    "Fitted",
    "Loss",
    "Lost",
    "Reading",
    "Tally",
    "Template",
    "Variant",
    "check_target",
    "describe_losses",
]
