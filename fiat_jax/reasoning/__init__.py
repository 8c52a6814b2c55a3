"""The large frozen model, and what it writes about each example.

A `Prompt` turns examples into requests, a `Client` answers them, and `annotate` keeps each answer, the
rationale, in a `Store`; whoever needs rationales reads them with `open_rationales` as a mapping from
example id to text. No part of this sees a label.

- `prompts`: instruction, exemplars and input as chat messages, and the checks against leaks, with
  `prompt_files` for prompts as files, `exemplars`, and `overlap` for what is nearly the same.
- `clients`: any server that speaks OpenAI's chat completions, and the replay of a file; `calls` holds the
  words they share, `retry` when to try again.
- `store`: one sqlite file, keyed by the full request.
- `annotate`: everything of a run, with `pool` for its threads and `progress` for its lines.
- `parsing`: the answer of a rationale. `quality`: what rationales are worth. `voting` and `shortening`: how
  better ones are made.

Neither JAX nor TensorFlow is loaded here.
"""

from fiat_jax.reasoning.annotate import Summary, annotate
from fiat_jax.reasoning.calls import CallError, Client, Completion, Request
from fiat_jax.reasoning.clients import OpenAI, Replay
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.reasoning.store import Store, export_jsonl, open_rationales

__all__ = [
    "CallError",
    "Client",
    "Completion",
    "OpenAI",
    "Prompt",
    "Replay",
    "Request",
    "Store",
    "Summary",
    "annotate",
    "export_jsonl",
    "open_rationales",
]
