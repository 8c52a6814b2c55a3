"""How it answers: token ids from inputs, by a search of one's choice."""

from fiat_jax.decoding.generate import generate
from fiat_jax.decoding.search import GREEDY, BeamSearch, Greedy, Sample, Search
from fiat_jax.decoding.spans import Spans, spans_of
from fiat_jax.decoding.stream import Answer, Decoder, Request, Take

__all__ = [
    "GREEDY",
    "Answer",
    "BeamSearch",
    "Decoder",
    "Greedy",
    "Request",
    "Sample",
    "Search",
    "Spans",
    "Take",
    "generate",
    "spans_of",
]
