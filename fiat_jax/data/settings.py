"""The settings of a task together: what one of them makes wrong in another."""

import math
import re
from typing import TYPE_CHECKING

from fiat_jax.data.metrics import METRICS
from fiat_jax.errors import ConfigError
from fiat_jax.records import template_fields

if TYPE_CHECKING:
    from fiat_jax.data.tasks import Task


def check_settings(task: "Task") -> None:
    """Makes sure that the settings of a task go together.

    Raises:
      ConfigError: they do not; the message names the setting.
    """
    _check_names(task)
    _check_rationales(task)
    _check_template(task)
    _check_metrics(task)
    _check_means(task)
    _check_examples(task)


def _check_names(task: "Task") -> None:
    for what, word in [("name", task.name), *(("languages", one) for one in task.languages)]:
        if not re.fullmatch(r"\w+", word):
            raise ConfigError(
                f"Task.{what}: expected letters, digits and underscores, as seqio wants, found {word!r}."
            )
    if len(set(task.languages)) < len(task.languages):
        raise ConfigError(f"Task.languages: expected each once, found {', '.join(task.languages)}.")
    if not task.languages and (task.source.by_language() or "{language}" in (task.rationales or "")):
        raise ConfigError("Task.languages: expected what {language} in the paths stands for, found none.")


def _check_rationales(task: "Task") -> None:
    if task.rationales and task.rationale_field:
        raise ConfigError(
            f"Task.rationale_field: expected None beside Task.rationales = {task.rationales!r}, found "
            f"{task.rationale_field!r}; leave out one of the two."
        )


def _check_template(task: "Task") -> None:
    for label in ("answer", task.answer_field, task.rationale_field):
        if label in template_fields(task.template.input):
            raise ConfigError(
                f"Template.input: expected no label in the input, found {{{label}}}; remove it."
            )
    if unknown := [one for one in task.template.instructions if one and one not in task.languages]:
        raise ConfigError(
            "Template.instructions: expected '' and languages of the task "
            f"({', '.join(task.languages) or 'it has none'}), found {', '.join(unknown)}; add them to "
            "Task.languages, or leave their instructions out."
        )
    if min(task.inputs_length, task.targets_length) < 1:
        raise ConfigError("Task: expected inputs_length and targets_length of 1 or more.")
    buckets = task.buckets
    if buckets and (
        list(buckets) != sorted({*buckets}) or buckets[0] < 1 or buckets[-1] < task.inputs_length
    ):
        raise ConfigError(
            "Task.buckets: expected lengths in ascending order, the last at least Task.inputs_length = "
            f"{task.inputs_length}, found {buckets}; add that, or leave them out for the usual ones."
        )


def _check_metrics(task: "Task") -> None:
    unknown = [name for name in task.metrics if name not in METRICS]
    if unknown or not task.metrics or len({*task.metrics}) < len(task.metrics):
        raise ConfigError(
            f"Task.metrics: expected some of {', '.join(METRICS)}, each once, "
            f"found {', '.join(map(repr, task.metrics)) or 'none'}."
        )


def _check_means(task: "Task") -> None:
    means = {"mean_of": task.mean_of} | {f"groups[{name!r}]": one for name, one in task.groups.items()}
    for what, languages in means.items():
        if wrong := [one for one in languages if one not in task.languages]:
            raise ConfigError(
                f"Task.{what}: expected languages of Task.languages, "
                f"{', '.join(task.languages) or 'which are none'}, found {', '.join(map(repr, wrong))}; "
                "a task of fewer languages than a recipe has needs its own."
            )
    for name, group in task.groups.items():
        if not re.fullmatch(r"\w+", name) or name in task.languages or not group:
            raise ConfigError(
                "Task.groups: expected names of letters, digits and underscores that no language has, "
                f"each with languages, found {name!r}: {group}."
            )


def _check_examples(task: "Task") -> None:
    if task.mixing != "proportional" and not task.languages:
        raise ConfigError("Task.mixing: expected Task.languages to mix, found none.")
    if isinstance(task.mixing, int | float) and not 1 <= task.mixing < math.inf:
        raise ConfigError(f"Task.mixing: expected a temperature of 1 or more, found {task.mixing}.")
    splits = task.source.splits()
    if task.regime is not None and "train" not in splits:
        raise ConfigError("Task.regime: expected a 'train' to take examples of, found none.")
    if task.holdout and (task.holdout < 0 or "validation" in splits or "train" not in splits):
        raise ConfigError(
            "Task.holdout: expected 0, or a number of examples to take from 'train' where there is no "
            f"'validation', found {task.holdout} with splits {', '.join(splits)}."
        )
