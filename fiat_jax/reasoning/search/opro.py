"""OPRO: the large model sees what was tried and what it scored, and writes what shall score higher."""

from dataclasses import dataclass

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.search.search import Search
from fiat_jax.reasoning.search.wording import from_history


@dataclass(frozen=True)
class OPRO:
    """Instructions from the history of those before.

    Attributes:
      steps: how many times the history is shown.
      per_step: instructions proposed each time, each with demonstrations of its own.
      history: how many of the best so far are shown, the best last.
      demonstrations: how many examples a proposal sees.
    """

    steps: int = 4
    per_step: int = 2
    history: int = 8
    demonstrations: int = 3

    def __post_init__(self) -> None:
        if min(self.steps, self.per_step, self.history, self.demonstrations) < 1:
            raise ConfigError(f"OPRO: expected numbers of 1 or more, found {self}.")

    def run(self, search: Search) -> None:
        """Tries instructions; see `Method`."""
        for _ in range(self.steps):
            ascending = sorted(search.tried, key=lambda one: one[1])[
                -self.history :
            ]  # of equal ones the newer last
            scored = [(one.instruction, mean) for one, mean in ascending]
            messages = {
                name: from_history(scored, search.shown(name, self.demonstrations), search.scorer.reader)
                for name in search.names("opro", self.per_step)
            }
            search.propose(messages, parent=ascending[-1][0].name)

    def most_calls(self, minibatch: int) -> int:
        """See `Method`."""
        return self.steps * self.per_step * (1 + minibatch)
