"""FIAT in JAX: a small T5 tuned on what a large model reasons, and the same path at inference.

What stands here is loaded when it is first used; `import fiat_jax` alone imports nothing heavy.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fiat_jax.adapters.dora import DoRA as DoRA
    from fiat_jax.adapters.ia3 import IA3 as IA3
    from fiat_jax.adapters.lora import LoRA as LoRA
    from fiat_jax.adapters.prefix import PrefixTuning as PrefixTuning
    from fiat_jax.adapters.soft_prompt import SoftPrompt as SoftPrompt
    from fiat_jax.checkpoints.base import Base as Base
    from fiat_jax.config.runs import open_predictor as open_predictor
    from fiat_jax.config.tasks import load_task as load_task
    from fiat_jax.data.regimes import Regime as Regime
    from fiat_jax.data.registry import register as register
    from fiat_jax.data.registry import register_task as register_task
    from fiat_jax.data.sources import Json as Json
    from fiat_jax.data.sources import Jsonl as Jsonl
    from fiat_jax.data.sources import Parquet as Parquet
    from fiat_jax.data.sources import Tfds as Tfds
    from fiat_jax.data.tables import Table as Table
    from fiat_jax.data.tasks import Task as Task
    from fiat_jax.data.templates import Template as Template
    from fiat_jax.decoding.search import BeamSearch as BeamSearch
    from fiat_jax.decoding.search import Greedy as Greedy
    from fiat_jax.decoding.search import Sample as Sample
    from fiat_jax.models.config import T5Config as T5Config
    from fiat_jax.models.transformer import T5 as T5
    from fiat_jax.reasoning.clients import Anthropic as Anthropic
    from fiat_jax.reasoning.clients import Gemini as Gemini
    from fiat_jax.reasoning.clients import Local as Local
    from fiat_jax.reasoning.clients import OpenAI as OpenAI
    from fiat_jax.reasoning.clients import Replay as Replay
    from fiat_jax.reasoning.prompts import Prompt as Prompt
    from fiat_jax.study.experiment import Experiment as Experiment
    from fiat_jax.study.predictor import Predictor as Predictor
    from fiat_jax.study.t5_reasoner import T5Reasoner as T5Reasoner
    from fiat_jax.training.optimizers import Adafactor as Adafactor
    from fiat_jax.training.optimizers import AdamW as AdamW

__version__ = "0.1.0"

# Else paths in buckets would go through TensorFlow. Asked once, when JAX keeps the first compiled program.
os.environ.setdefault("EPATH_USE_TF", "false")

_PLACES = {
    "Adafactor": "training.optimizers",
    "AdamW": "training.optimizers",
    "Anthropic": "reasoning.clients",
    "Base": "checkpoints.base",
    "BeamSearch": "decoding.search",
    "DoRA": "adapters.dora",
    "Experiment": "study.experiment",
    "Gemini": "reasoning.clients",
    "Greedy": "decoding.search",
    "IA3": "adapters.ia3",
    "Json": "data.sources",
    "Jsonl": "data.sources",
    "LoRA": "adapters.lora",
    "Local": "reasoning.clients",
    "OpenAI": "reasoning.clients",
    "Parquet": "data.sources",
    "Predictor": "study.predictor",
    "PrefixTuning": "adapters.prefix",
    "Prompt": "reasoning.prompts",
    "Regime": "data.regimes",
    "Replay": "reasoning.clients",
    "Sample": "decoding.search",
    "SoftPrompt": "adapters.soft_prompt",
    "T5": "models.transformer",
    "T5Config": "models.config",
    "T5Reasoner": "study.t5_reasoner",
    "Table": "data.tables",
    "Task": "data.tasks",
    "Template": "data.templates",
    "Tfds": "data.sources",
    "load_task": "config.tasks",
    "open_predictor": "config.runs",
    "register": "data.registry",
    "register_task": "data.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
