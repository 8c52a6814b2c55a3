"""The large model: a file for each way to reach one.

A client is a frozen dataclass that keeps `calls.Client`: a model's name, the payload that an answer depends
on, and `complete`. What clients over HTTP share is in `http`; a chat as one text is in `text`.
"""

from fiat_jax.reasoning.clients.anthropic import Anthropic
from fiat_jax.reasoning.clients.gemini import Gemini
from fiat_jax.reasoning.clients.local import Local
from fiat_jax.reasoning.clients.openai import OpenAI
from fiat_jax.reasoning.clients.replay import Replay

__all__ = ["Anthropic", "Gemini", "Local", "OpenAI", "Replay"]
