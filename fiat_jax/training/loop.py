"""The loop around the step: logging, validation, checkpoints, and stopping without loss."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from fiat_jax.errors import ConfigError, InterruptedRun, NonFiniteError
from fiat_jax.parallel.hosts import terminations
from fiat_jax.training.logs import MetricsLog
from fiat_jax.training.prefetch import Prefetch
from fiat_jax.training.step import TrainState
from fiat_jax.typing import Array, Variables


@dataclass(frozen=True)
class Plan:
    """What a run does at which step.

    Attributes:
      steps: updates in all.
      eval_every: steps between validations; 0 for the end only.
      save_every: steps between checkpoints besides those at a validation; 0 for none.
    """

    steps: int
    eval_every: int = 0
    save_every: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.eval_every < 0 or self.save_every < 0:
            raise ConfigError(f"expected steps of 1 or more and no negative interval, found {self}.")

    def validates(self, step: int) -> bool:
        """Whether validation follows this step."""
        return step == self.steps or bool(self.eval_every and step % self.eval_every == 0)

    def saves(self, step: int) -> bool:
        """Whether a checkpoint follows this step."""
        return self.validates(step) or bool(self.save_every and step % self.save_every == 0)


def fit(
    state: TrainState,
    base: Variables,
    key: Array,
    *,
    plan: Plan,
    step_fn: Callable[..., tuple[TrainState, dict[str, Array]]],
    batch_at: Callable[[int], Any],
    tokens_at: Callable[[int], int],
    learning_rate: Callable[[int], Any],
    log: MetricsLog,
    evaluate: Callable[[Variables], dict[str, float]] | None,
    save: Callable[[TrainState, dict[str, float] | None], None],
) -> TrainState:
    """Trains from `state.step` to the last step.

    Args:
      state: where to start; its step says which batch comes next.
      base: frozen collections.
      key: the run's key.
      plan: when to validate and save.
      step_fn: `jit_step`'s result.
      batch_at: the batch of a step on the devices, a pure function of it; a thread makes the next ones while
        a step runs.
      tokens_at: tokens that a step reads and learns, for the log.
      learning_rate: the rate of a step, for the log.
      log: where numbers go.
      evaluate: validation metrics of the learned variables, or None without a validation split.
      save: writes a checkpoint of a state with its validation metrics.

    Returns:
      The state after the last step, already saved.

    Raises:
      NonFiniteError: loss or gradient norm is NaN or infinite; no checkpoint holds the step.
      InterruptedRun: SIGTERM came, or the platform's notice; the state is saved.
    """
    step, clock, waited = int(state.step), time.monotonic(), 0.0
    pending: tuple[int, int, dict[str, Array]] | None = None

    def settle() -> None:
        """Waits for the step under way, checks and shows it; the next one may be running meanwhile."""
        nonlocal pending, clock, waited
        if pending is None:
            return
        at, tokens, arrays = pending
        metrics = {name: float(value) for name, value in jax.device_get(arrays).items()}
        _check_finite(at, metrics)
        seconds = time.monotonic() - clock
        metrics |= {
            "learning_rate": float(learning_rate(at - 1)),
            "seconds": seconds,
            "tokens_per_second": tokens / seconds,
            "input_share": (batches.waited - waited) / seconds,
            "compiles": step_fn._cache_size(),  # type: ignore[attr-defined]
        }
        clock, waited, pending = clock + seconds, batches.waited, None
        log.step(at, metrics)

    with terminations() as terminated, Prefetch(batch_at, step, plan.steps) as batches:
        while step < plan.steps:
            state, arrays = step_fn(state, base, batches.take(), key)
            settle()
            pending = (step + 1, tokens_at(step), arrays)
            step += 1
            stops = terminated(step)
            if not (plan.saves(step) or stops):
                continue
            settle()
            metrics = None
            if evaluate and plan.validates(step):
                metrics = evaluate(state.learned)
                log.write(step, "validation", metrics)
                log.say(f"step {step}/{plan.steps}  validation  " + show(metrics))
            save(state, metrics)
            clock = time.monotonic()
            if (stops or terminated(step)) and step < plan.steps:
                raise InterruptedRun(
                    f"asked to stop at step {step}; saved, the same command resumes from there."
                )
    return state


def show(metrics: dict[str, float]) -> str:
    """The metrics on one line, but for those of single languages and groups."""
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items() if "/" not in name)


def _check_finite(step: int, metrics: dict[str, float]) -> None:
    for name in ("loss", "grad_norm"):
        if not math.isfinite(metrics[name]):
            raise NonFiniteError(
                f"step {step}: expected a finite {name}, found {metrics[name]}; the last checkpoint is from "
                "before this step: lower the learning rate, or set Base.dtype = 'float32'."
            )
