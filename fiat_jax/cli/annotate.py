"""`fiat annotate`: a rationale for every example of a task."""

from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import OpenAI, Prompt, Replay, Store
from fiat_jax.reasoning import annotate as annotate_splits
from fiat_jax.records import template_fields


def annotate(
    task: Task,
    client: OpenAI | Replay,
    store: str,
    prompt: Prompt | None = None,
    splits: tuple[str, ...] = (),
    concurrency: int = 8,
    limit: int | None = None,
) -> None:
    """Asks the large model about every example, and keeps its rationales.

    Args:
      task: whose examples.
      client: the large model.
      store: the sqlite file that rationales are kept in; a run that was stopped goes on from it.
      prompt: what to ask; not needed to replay a file.
      splits: the splits to annotate; by default all that the task has.
      concurrency: calls at a time.
      limit: ask about the first so many examples only.
    """
    if prompt is None and not isinstance(client, Replay):
        raise ConfigError(
            "annotate.prompt: expected a prompt for the large model, found none; bind @Prompt()."
        )
    known = task.splits()
    for split in splits:
        if split not in known:
            raise ConfigError(f"annotate.splits: expected some of {', '.join(known)}, found {split!r}.")
    label = (task.answer_field, *template_fields(task.template.target))
    rows = {split: task.rows(split) for split in splits or known}
    with Store(store) as kept:
        summary = annotate_splits(
            rows, prompt, client, kept, forbidden=label, concurrency=concurrency, limit=limit
        )
    print(f"{store}: {summary}")
