"""Optimizers as frozen settings; each builds its optax transformation once the number of steps is known."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import optax

from fiat_jax.errors import ConfigError


@dataclass(frozen=True)
class Schedule:
    """A learning rate over a run, and the clipping that all optimizers share.

    Attributes:
      learning_rate: the peak.
      warmup: share of the steps over which the rate rises linearly from zero.
      decay: how it falls to zero by the last step, or that it stays.
      clip_norm: global norm to which gradients are clipped; 0 for no clipping.
      lora_b_ratio: learning rate of LoRA's B over that of all else. 1 is plain LoRA; LoRA+ (Hayou et al.
        2024) takes 16, with a lower `learning_rate`.
    """

    learning_rate: float = 1e-3
    warmup: float = 0.06
    decay: Literal["linear", "cosine", "constant"] = "linear"
    clip_norm: float = 1.0
    lora_b_ratio: float = 1.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not 0.0 <= self.warmup < 1.0:
            raise ConfigError(f"{name}.warmup: expected a share of the steps in [0, 1), found {self.warmup}.")
        for field in ("learning_rate", "lora_b_ratio"):
            if getattr(self, field) <= 0.0:
                raise ConfigError(f"{name}.{field}: expected more than 0, found {getattr(self, field)}.")

    def schedule(self, steps: int) -> optax.Schedule:
        """Learning rate by step."""
        warmup = round(self.warmup * steps)
        rest = max(steps - warmup, 1)
        falling = {
            "linear": optax.linear_schedule(self.learning_rate, 0.0, rest),
            "cosine": optax.cosine_decay_schedule(self.learning_rate, rest),
            "constant": optax.constant_schedule(self.learning_rate),
        }[self.decay]
        if not warmup:
            return falling
        # Step 0 already learns: the rise starts at one step's share of the peak.
        rising = optax.linear_schedule(self.learning_rate / warmup, self.learning_rate, max(warmup - 1, 1))
        return optax.join_schedules([rising, falling], [warmup])

    def _around(self, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
        """Clips before an optimizer, and multiplies the updates of LoRA's B after it."""
        before = [optax.clip_by_global_norm(self.clip_norm)] if self.clip_norm else []
        after = [optax.masked(optax.scale(self.lora_b_ratio), _is_lora_b)] if self.lora_b_ratio != 1.0 else []
        return optax.chain(*before, optimizer, *after) if before or after else optimizer


def _is_lora_b(tree: Any) -> Any:
    def last_two(path: tuple[Any, ...]) -> list[str]:
        return [key.key for key in path[-2:]]

    return jax.tree_util.tree_map_with_path(lambda path, _: last_two(path) == ["lora", "b"], tree)


@dataclass(frozen=True)
class AdamW(Schedule):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def build(self, steps: int) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps."""
        return self._around(
            optax.adamw(self.schedule(steps), self.b1, self.b2, self.epsilon, weight_decay=self.weight_decay)
        )


@dataclass(frozen=True)
class Adafactor(Schedule):
    """Adafactor (Shazeer and Stern 2018), whose second moments are factored where a matrix is large.

    Attributes:
      scale_by_parameter: whether updates are relative to a parameter's size, as T5 was trained.
      weight_decay: rate of decoupled weight decay.
    """

    scale_by_parameter: bool = False
    weight_decay: float = 0.0

    def build(self, steps: int) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps."""
        return self._around(
            optax.adafactor(
                self.schedule(steps),
                multiply_by_parameter_scale=self.scale_by_parameter,
                weight_decay_rate=self.weight_decay or None,
            )
        )
