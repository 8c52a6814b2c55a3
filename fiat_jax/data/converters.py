"""A task as seqio's own feature converter gives it, for training loops that read seqio, such as t5x's.

Our own batches (`batches`) hold the same ids: 'encoder_input_tokens' are their inputs, as
'decoder_target_tokens' are their targets and 'decoder_loss_weights' their weights; 'decoder_input_tokens' are
the targets shifted, which our models do themselves. Where examples are packed, '*_segment_ids' tell them
apart, from 1 in each row.
"""

from typing import TYPE_CHECKING

from fiat_jax.data.registry import register
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Reading

if TYPE_CHECKING:
    from fiat_jax.data.tensorflow import tf


def converted(
    task: Task,
    reading: Reading,
    split: str,
    *,
    packed: bool = False,
    shuffle: bool = False,
    seed: int | None = None,
    epochs: int | None = 1,
) -> "tf.data.Dataset":
    """The examples of a split as seqio's encoder-decoder models read them, not batched.

    Args:
      task: registered if it is not yet.
      reading: what the model reads; 'distillation' mixes labels and rationales.
      split: which examples.
      packed: whether rows hold several examples, as many as fit the task's lengths.
      shuffle: whether in random order.
      seed: of the order.
      epochs: how often each comes; None for ever.

    Returns:
      Rows of int32 [inputs_length] and [targets_length], padded with 0.

    Raises:
      ConfigError: the task has no such reading or split.
      DataError: a row is wrong, has no rationale or does not fit.
    """
    task.check_reading(reading)
    task.check_part(split)
    register(task)
    from fiat_jax.data.tensorflow import seqio

    return seqio.get_dataset(
        mixture_or_task_name=task.seqio_name(reading),
        task_feature_lengths={"inputs": task.inputs_length, "targets": task.targets_length},
        dataset_split=split,
        shuffle=shuffle,
        num_epochs=epochs,
        feature_converter=seqio.EncDecFeatureConverter(pack=packed),
        seed=seed,
        use_cached=False,
    )
