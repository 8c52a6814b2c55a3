"""Labels ranked by how likely a model finds each, as T-Few and T0 classify."""

from dataclasses import dataclass

import numpy as np

from fiat_jax.decoding.calibration import softmax
from fiat_jax.errors import ConfigError


@dataclass(frozen=True)
class Rank:
    """How labels are ranked: by the log-likelihood of each, normalised by its length.

    Attributes:
      labels: what to choose from, as the rows have them; `Template.verbaliser` may have other texts written.
      length_normalisation: the sum of a label's log-probabilities is divided by its tokens, the end among
        them, to this power: 1 ranks by the mean (Liu et al. 2022, T-Few), 0 by the sum.
      first_token: rank by the first token of each label alone, whatever follows; takes one step of decoding.
        Of two labels the probabilities are then P(true) / (P(true) + P(false)).
      temperature: what scores are divided by before the softmax that makes them probabilities. None: what
        `fiat eval` has fitted of the run, or else 1.
    """

    labels: tuple[str, ...]
    length_normalisation: float = 1.0
    first_token: bool = False
    temperature: float | None = None

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels) or not all(self.labels):
            raise ConfigError(
                f"Rank.labels: expected two texts or more, all different and none empty, "
                f"found {self.labels!r}."
            )
        if not 0 <= self.length_normalisation < np.inf:
            raise ConfigError(
                f"Rank.length_normalisation: expected 0 or more, found {self.length_normalisation}."
            )
        if self.temperature is not None and not 0 < self.temperature < np.inf:
            raise ConfigError(f"Rank.temperature: expected more than 0, or None, found {self.temperature}.")

    def scores(self, log_likelihoods: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Scores [N, C] of log-likelihoods [N, C] of labels with so many tokens, [C]."""
        return log_likelihoods / lengths**self.length_normalisation

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities [N, C] of scores [N, C], each row's in all 1."""
        return softmax(scores, 1.0 if self.temperature is None else self.temperature)
