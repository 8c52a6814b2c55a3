"""The large frozen model, and what it writes about each example.

A `Prompt` turns examples into requests, a `Client` answers them, and `annotate` keeps each answer, the
rationale, in a `Store`; whoever needs rationales reads them with `open_rationales` as a mapping from
example id to text. No part of this sees a label.

- `prompts`: instruction, exemplars and input as chat messages, and the checks against leaks, with
  `prompt_files` for prompts as files, `exemplars`, and `overlap` for what is nearly the same.
- `clients`: a file for each way to reach a model, from hosted ones to one in this process, and the replay of
  a file; `calls` holds the words they share, `retry` when to try again.
- `store`: one sqlite file, keyed by the full request, with `schema` for its tables, `holdings` for what it
  has, and `exchange` for what goes out of it and into another.
- `annotate`: everything of a run, with `gathering` for its requests, `pool` for its threads, `batches` and
  `sent` for what goes out together, `tally` for what either comes to, `budget` and `throttle` for what they
  may use, and `progress` for its lines; `forecast` is its dry run, and `status` says how far it is.
- `parsing`: the answer of a rationale. `quality`: what rationales are worth. `voting` and `shortening`: how
  better ones are made.

Neither JAX nor TensorFlow is loaded here.
"""

from fiat_jax.reasoning.annotate import Summary, annotate
from fiat_jax.reasoning.batches import Batch
from fiat_jax.reasoning.budget import Budget, Price
from fiat_jax.reasoning.calls import CallError, Client, Completion, GaveUp, Request
from fiat_jax.reasoning.clients import Anthropic, Gemini, Local, OpenAI, Replay
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.reasoning.store import Store, export_jsonl, open_rationales
from fiat_jax.reasoning.throttle import Rates

__all__ = [
    "Anthropic",
    "Batch",
    "Budget",
    "CallError",
    "Client",
    "Completion",
    "GaveUp",
    "Gemini",
    "Local",
    "OpenAI",
    "Price",
    "Prompt",
    "Rates",
    "Replay",
    "Request",
    "Store",
    "Summary",
    "annotate",
    "export_jsonl",
    "open_rationales",
]
