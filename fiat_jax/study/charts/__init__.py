"""Charts as SVG: readable as files alone, and in a page in its colours, dark or light.

What is compared differs in colour, mark and dash. A `width` of `NARROW` is for phones: names stand below, not
beside.

- `drawing`: what all are drawn with. `lines`: curves over one axis. `rows`: values with their intervals, a
  line each. `steps`: what a score loses, step by step. `points`: one thing against another. `histogram`.
"""

from fiat_jax.study.charts.drawing import NARROW, STYLE, WIDE, Look, looks_of
from fiat_jax.study.charts.histogram import histogram
from fiat_jax.study.charts.lines import lines
from fiat_jax.study.charts.points import points
from fiat_jax.study.charts.rows import groups, intervals
from fiat_jax.study.charts.steps import Step, steps

__all__ = [
    "NARROW",
    "STYLE",
    "WIDE",
    "Look",
    "Step",
    "groups",
    "histogram",
    "intervals",
    "lines",
    "looks_of",
    "points",
    "steps",
]
