"""What the scores of a sweep say, and how sure that is; nothing of it needs JAX.

- `cells`: the scores of every test example, by paradigm, regime and seed.
- `draws`: where the scores of runs could lie, for other test examples and other seeds; every interval is made
  of them.
- `estimates`: a score with its interval, and its spread over seeds.
- `comparing`: paradigms against each other on the same examples; many comparisons corrected.
- `efficiency`: how many examples one paradigm needs to reach another, from fitted curves.
- `verdicts`: all that as sentences.
"""

from fiat_jax.study.statistics.cells import Cell, Runs, Score, gather, per_language, run_name
from fiat_jax.study.statistics.comparing import Comparison, compare, compare_all, holm, least
from fiat_jax.study.statistics.draws import RESAMPLES, Draws, draw
from fiat_jax.study.statistics.efficiency import Curve, Needed, fit, learning_curve, needed
from fiat_jax.study.statistics.estimates import Estimate, estimate, mixed
from fiat_jax.study.statistics.verdicts import compared, data_needed, examples_text, interval_text

__all__ = [
    "RESAMPLES",
    "Cell",
    "Comparison",
    "Curve",
    "Draws",
    "Estimate",
    "Needed",
    "Runs",
    "Score",
    "compare",
    "compare_all",
    "compared",
    "data_needed",
    "draw",
    "estimate",
    "examples_text",
    "fit",
    "gather",
    "holm",
    "interval_text",
    "learning_curve",
    "least",
    "mixed",
    "needed",
    "per_language",
    "run_name",
]
