"""Optimizers as frozen settings: the optax transformation that each builds, and its learning rate by step.

The transformation is told the learning rate of every step, and has none of its own: runs that differ in
nothing but rate and length share one compiled step.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import flax
import jax
import jax.numpy as jnp
import optax

from fiat_jax.errors import ConfigError
from fiat_jax.typing import Array

Decay = Literal["linear", "cosine", "constant"]


class Pace(flax.struct.PyTreeNode):
    """A learning rate over a run.

    Attributes:
      peak: the highest rate.
      warmup: steps over which it rises linearly; step 0 already learns, at one step's share of the peak.
      steps: updates in all.
      decay: how it falls to zero by the last step, or that it stays.
    """

    peak: Array  # scalar float32
    warmup: Array  # scalar int32
    steps: Array  # scalar int32
    decay: Decay = flax.struct.field(pytree_node=False)

    def rate(self, step: Array | int) -> Array:
        """The rate of a step, counted from 0."""
        rising = (step + 1) / jnp.maximum(self.warmup, 1)
        passed = jnp.minimum((step - self.warmup) / jnp.maximum(self.steps - self.warmup, 1), 1.0)
        falling = {
            "linear": 1.0 - passed,
            "cosine": 0.5 * (1.0 + jnp.cos(jnp.pi * passed)),
            "constant": jnp.ones_like(passed),
        }[self.decay]
        return self.peak * jnp.where(step < self.warmup, rising, falling)


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
    decay: Decay = "linear"
    clip_norm: float = 1.0
    lora_b_ratio: float = 1.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not 0.0 <= self.warmup < 1.0:
            raise ConfigError(f"{name}.warmup: expected a share of the steps in [0, 1), found {self.warmup}.")
        for field in ("learning_rate", "lora_b_ratio"):
            if getattr(self, field) <= 0.0:
                raise ConfigError(f"{name}.{field}: expected more than 0, found {getattr(self, field)}.")

    def pace(self, steps: int) -> Pace:
        """The learning rate over a run of `steps` steps."""
        warmup = jnp.int32(round(self.warmup * steps))
        return Pace(jnp.float32(self.learning_rate), warmup, jnp.int32(steps), self.decay)


@dataclass(frozen=True)
class AdamW(Schedule):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def build(self) -> optax.GradientTransformationExtraArgs:
        """The optax transformation; its update takes the step's `rate`."""
        return _adamw(self.b1, self.b2, self.epsilon, self.weight_decay, self.clip_norm, self.lora_b_ratio)


@dataclass(frozen=True)
class Adafactor(Schedule):
    """Adafactor (Shazeer and Stern 2018), whose second moments are factored where a matrix is large.

    Attributes:
      scale_by_parameter: whether updates are relative to a parameter's size, as T5 was trained.
      weight_decay: of decoupled weight decay, which the learning rate multiplies too.
    """

    scale_by_parameter: bool = False
    weight_decay: float = 0.0

    def build(self) -> optax.GradientTransformationExtraArgs:
        """The optax transformation; its update takes the step's `rate`."""
        return _adafactor(self.scale_by_parameter, self.weight_decay, self.clip_norm, self.lora_b_ratio)


@cache
def _adamw(
    b1: float, b2: float, epsilon: float, weight_decay: float, clip_norm: float, lora_b_ratio: float
) -> optax.GradientTransformationExtraArgs:
    """One object for the same settings, by which the compiled step is known again."""
    adam = [optax.scale_by_adam(b1, b2, epsilon), optax.add_decayed_weights(weight_decay), optax.scale(-1.0)]
    return _around(adam, clip_norm, lora_b_ratio)


@cache
def _adafactor(
    scale_by_parameter: bool, weight_decay: float, clip_norm: float, lora_b_ratio: float
) -> optax.GradientTransformationExtraArgs:
    """As `_adamw`."""
    factored = optax.adafactor(None, multiply_by_parameter_scale=scale_by_parameter)
    return _around([factored, optax.add_decayed_weights(-weight_decay)], clip_norm, lora_b_ratio)


def _around(
    optimizer: list[optax.GradientTransformation], clip_norm: float, lora_b_ratio: float
) -> optax.GradientTransformationExtraArgs:
    """Clips before an optimizer, and after it takes the rate, and more of it for LoRA's B."""
    before = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
    after = [optax.masked(optax.scale(lora_b_ratio), _is_lora_b)] if lora_b_ratio != 1.0 else []
    return optax.chain(*before, *optimizer, _at_rate(), *after)


def _at_rate() -> optax.GradientTransformationExtraArgs:
    """Multiplies updates by the `rate` that the update is told."""

    def update(updates: Any, state: Any, params: Any = None, *, rate: Array, **_: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda x: (rate * x).astype(x.dtype), updates), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def _is_lora_b(tree: Any) -> Any:
    def last_two(path: tuple[Any, ...]) -> list[str]:
        return [key.key for key in path[-2:]]

    return jax.tree_util.tree_map_with_path(lambda path, _: last_two(path) == ["lora", "b"], tree)
