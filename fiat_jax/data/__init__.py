"""Tasks, from rows to batches of token ids and scores; the only room that knows seqio and TensorFlow.

- `sources`, `tables`: where rows are. `preprocessors`: how public data sets have them.
- `templates`: what becomes of a row. `tasks`: both together, by name; `settings`: whether they go together.
- `regimes`, `rates`: which training examples are used, and how often. `intake`: a task made of anyone's rows.
- `vocabularies`: text to ids, also without TensorFlow; `seqio_vocabularies`: the same for seqio.
- `rendering`: rows joined with their rationales, as text; `unlabelled`: the same for rows without answers.
- `registry`: tasks as seqio knows them. `pipeline`: from there to token ids. `batches`: from there to arrays,
  `packing`: with rows shared. `converters`: the same from seqio, for others.
- `mixing`: rationales that are not an example's own, `distillation`: rationales to write, `given_labels`:
  those that knew the label. `parts`: rows that other machines read.
- `cache`: token ids kept in a folder, as `columns`; `provenance`: whether they are still the task's.
- `metrics`: how answers are scored. `tensorflow`: the one place that loads it.

Names are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fiat_jax.data.batches import BUCKETS, EvalBatch, TrainBatches, eval_batches
    from fiat_jax.data.metrics import METRICS
    from fiat_jax.data.pipeline import Counts, Examples, load_examples
    from fiat_jax.data.registry import register, register_task
    from fiat_jax.data.seqio_vocabularies import load_vocabulary
    from fiat_jax.data.sources import Json, Jsonl, Parquet, Tfds
    from fiat_jax.data.tables import Table
    from fiat_jax.data.tasks import Task
    from fiat_jax.data.templates import Template, Variant
    from fiat_jax.data.vocabularies import Tokens, decode_batch, load_tokens

_HOMES = {
    "BUCKETS": "batches",
    "EvalBatch": "batches",
    "TrainBatches": "batches",
    "eval_batches": "batches",
    "METRICS": "metrics",
    "Counts": "pipeline",
    "Examples": "pipeline",
    "load_examples": "pipeline",
    "register": "registry",
    "register_task": "registry",
    "load_vocabulary": "seqio_vocabularies",
    "Json": "sources",
    "Jsonl": "sources",
    "Parquet": "sources",
    "Tfds": "sources",
    "Table": "tables",
    "Task": "tasks",
    "Template": "templates",
    "Variant": "templates",
    "Tokens": "vocabularies",
    "decode_batch": "vocabularies",
    "load_tokens": "vocabularies",
}

__all__ = [
    "BUCKETS",
    "METRICS",
    "Counts",
    "EvalBatch",
    "Examples",
    "Json",
    "Jsonl",
    "Parquet",
    "Table",
    "Task",
    "Template",
    "Tfds",
    "Tokens",
    "TrainBatches",
    "Variant",
    "decode_batch",
    "eval_batches",
    "load_examples",
    "load_tokens",
    "load_vocabulary",
    "register",
    "register_task",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
