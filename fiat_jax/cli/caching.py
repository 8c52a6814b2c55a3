"""`fiat cache`: keeps the token ids of a task."""

from fiat_jax.data.pipeline import write_cache
from fiat_jax.data.tasks import Task


def cache(task: Task) -> None:
    """Writes the token ids of every reading and split of a task to `Task.cache`.

    Args:
      task: the task, with the folder as its `cache`.
    """
    for reading, split, counts in write_cache(task):
        print(f"{task.seqio_name(reading)} {split}: {counts}")
    print(f"{task.cache}: written; train and eval with the same settings read it, without TensorFlow.")
