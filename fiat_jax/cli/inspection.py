"""`fiat inspect`: what a task's examples look like to the model, and what is wrong with them."""

import sys

from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Reading
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.paths import at
from fiat_jax.study.inspection.html import write_html
from fiat_jax.study.inspection.inspecting import inspect_task
from fiat_jax.study.inspection.terminal import coloured, text


def inspect(
    task: Task,
    variant: Reading | None = None,
    splits: tuple[str, ...] = (),
    examples: int = 3,
    ids: tuple[str, ...] = (),
    alike: float = 0.8,
    output: str | None = None,
    strict: bool = False,
    width: int = 100,
) -> None:
    """Shows examples as the model reads them, and lengths, answers, repeats, leaks and lost letters.

    Args:
      task: the task.
      variant: what the model reads; by default fiat where there are rationales, or else instruction.
      splits: which; by default all that the task has.
      examples: how many are shown, of the first split: the first, the one that is cut most, the one with
        most unknown tokens, then others.
      ids: the examples to show instead.
      alike: how much two examples of different splits have in common to be taken for one, above 0 to 1.
      output: the HTML page to write.
      strict: whether examples that two splits have in common are an error.
      width: columns to print in.
    """
    chosen = task.chosen(splits, "inspect.splits")
    if not 0 < alike <= 1:
        raise ConfigError(f"inspect.alike: expected a share above 0 and up to 1, found {alike}.")
    if examples < 0 or width < 60:
        raise ConfigError(
            f"inspect: expected 0 examples or more and a width of 60 or more, found {examples} and {width}."
        )
    seen = inspect_task(task, variant, chosen, examples, ids, alike)
    print(text(seen, width, coloured(sys.stdout)))
    if output is not None:
        write_html(at(output), seen)
        print(f"\n{output}")
    if strict and seen.leaks:
        raise DataError(" ".join(seen.leaks))
