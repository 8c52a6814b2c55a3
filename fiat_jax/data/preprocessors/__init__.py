"""From the rows of public data sets, as their files have them, to the flat rows that tasks read.

- `base`: what a preprocessor is, and how its rows get ids.
- `qa`: questions on passages. `inference`: whether a text follows from another.
- `choices`: one of several options. `problems`: questions that need steps, and tables of such.
"""

from fiat_jax.data.preprocessors.base import Preprocessor as Preprocessor
from fiat_jax.data.preprocessors.base import flattened as flattened
