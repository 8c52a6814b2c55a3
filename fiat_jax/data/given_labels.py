"""Rationales written with the label in sight: a model that reads them is tuned, and is never evaluated.

Distillation learns to write rationales and reads none, so that its evaluation is fair whoever wrote them.
"""

from fiat_jax.data import cache
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Reading
from fiat_jax.errors import DataError
from fiat_jax.reasoning.store import given_label
from fiat_jax.records import fill

_WITHOUT_RATIONALES = ("plain", "instruction", "distillation")


def label_given(task: Task, reading: Reading, languages: tuple[str, ...] = ()) -> str:
    """Which rationale of the task was written from the label; '' where there is none.

    Args:
      task: whose rationales.
      reading: what the model reads, and in 'explanation' writes; one without rationales has none of them.
      languages: whose files; by default all of the task's.

    Raises:
      DataError: as `open_rationales`; with a cache, which says it in their place, as `cache.read`.
      ConfigError: there should be a cache and is none.
    """
    if reading in _WITHOUT_RATIONALES:
        return ""
    if task.rationale_field:
        return f"those of the field {task.rationale_field!r}"
    if not task.rationales:
        return ""
    chosen = languages or task.languages or ("",)
    if task.cache is not None:
        return cache.given(task, chosen)
    for path in dict.fromkeys(fill(task.rationales, {"language": language}) for language in chosen):
        if marked := given_label(path):
            return f"that of {min(marked)!r} in {path}"
    return ""


def check_unaided(task: Task, reading: Reading, languages: tuple[str, ...] = ()) -> None:
    """Makes sure that a task may be evaluated. The arguments are those of `label_given`.

    Raises:
      DataError: one of its rationales, of whatever split, was written from the label.
    """
    if found := label_given(task, reading, languages):
        raise refusal(f"task {task.name}", found)


def refusal(what: str, found: str) -> DataError:
    """What is said of something that is not evaluated."""
    return DataError(
        f"{what}: expected rationales written without the label, found {found} written from it "
        "('given_label'); what reads such rationales is not evaluated, use others and tune anew, or distil "
        "them."
    )
