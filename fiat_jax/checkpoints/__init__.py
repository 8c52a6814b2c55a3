"""What is kept: pretrained bases read, a run's checkpoints written and read, adapters written and read."""

from fiat_jax.checkpoints.base import Base
from fiat_jax.checkpoints.peft import read_adapter, read_weights, write_adapter
from fiat_jax.checkpoints.store import CheckpointStore, abstract_like

__all__ = ["Base", "CheckpointStore", "abstract_like", "read_adapter", "read_weights", "write_adapter"]
