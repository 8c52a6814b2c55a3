"""Instructions and exemplars searched: proposed by a large model, scored, kept, compared.

- `candidates`: what is tried, and what proposals may see. `wording`: how a large model is asked for more.
- `ape`, `opro`, `bootstrap`: the methods, each a setting that runs on a `Search`.
- `ledger`: the calls, each paid for once, and never more than allowed. `history`: every score so far.
- `search`: from the start over the methods to a result; `intervals`: whether it is one.

How a candidate is scored is not known here: see `Scorer`. Neither JAX nor TensorFlow is loaded.
"""

from fiat_jax.reasoning.search.ape import APE
from fiat_jax.reasoning.search.bootstrap import Bootstrap
from fiat_jax.reasoning.search.candidates import Candidate, Demonstration, Row
from fiat_jax.reasoning.search.history import History
from fiat_jax.reasoning.search.ledger import Ledger
from fiat_jax.reasoning.search.opro import OPRO
from fiat_jax.reasoning.search.search import Outcome, Scorer, Search

__all__ = [
    "APE",
    "OPRO",
    "Bootstrap",
    "Candidate",
    "Demonstration",
    "History",
    "Ledger",
    "Outcome",
    "Row",
    "Scorer",
    "Search",
]
