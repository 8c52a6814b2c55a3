"""`fiat annotate`: a rationale for every example of a task."""

from fiat_jax.data.parts import parts
from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import OpenAI, Prompt, Replay, Store
from fiat_jax.reasoning import annotate as annotate_splits
from fiat_jax.reasoning.beam import Beam
from fiat_jax.records import template_fields


def annotate(
    task: Task,
    client: OpenAI | Replay,
    store: str,
    prompt: Prompt | None = None,
    splits: tuple[str, ...] = (),
    concurrency: int = 8,
    limit: int | None = None,
    pipeline: Beam | None = None,
) -> None:
    """Asks the large model about every example, and keeps its rationales.

    Args:
      task: whose examples.
      client: the large model.
      store: the sqlite file that rationales are kept in; a run that was stopped goes on from it.
      prompt: what to ask; not needed to replay a file.
      splits: the splits to annotate; by default all that the task has.
      concurrency: calls at a time; with a pipeline, in each of its worker processes.
      limit: ask about the first so many examples only.
      pipeline: where the calls are made; by default in threads of this process.
    """
    if prompt is None and not isinstance(client, Replay):
        raise ConfigError(
            "annotate.prompt: expected a prompt for the large model, found none; bind @Prompt()."
        )
    known = task.splits()
    for split in splits:
        if split not in known:
            raise ConfigError(f"annotate.splits: expected some of {', '.join(known)}, found {split!r}.")
    if pipeline is not None and limit is not None:
        raise ConfigError(
            f"annotate.limit: expected none with a pipeline, which has no first examples, found {limit}; "
            "leave out one of the two."
        )
    label = (task.answer_field, *template_fields(task.template.target))
    chosen = splits or known
    with Store(store) as kept:
        if pipeline is not None:
            pieces = [part for split in chosen for part in parts(task, split)]
            summary = pipeline.annotate(
                pieces, prompt, client, kept, forbidden=label, concurrency=concurrency
            )
        else:
            rows = {split: task.rows(split) for split in chosen}
            summary = annotate_splits(
                rows, prompt, client, kept, forbidden=label, concurrency=concurrency, limit=limit
            )
    print(f"{store}: {summary}")
