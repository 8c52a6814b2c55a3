"""APE: instructions guessed from demonstrations, and the best of them said in other words."""

from dataclasses import dataclass

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.search.search import Search
from fiat_jax.reasoning.search.wording import from_demonstrations, paraphrased


@dataclass(frozen=True)
class APE:
    """Instructions from demonstrations.

    Attributes:
      candidates: how many instructions are proposed, each from demonstrations of its own.
      demonstrations: how many examples a proposal sees.
      paraphrases: how many more are proposed as other wordings of the best so far.
    """

    candidates: int = 8
    demonstrations: int = 4
    paraphrases: int = 0

    def __post_init__(self) -> None:
        if self.candidates < 1 or self.demonstrations < 1 or self.paraphrases < 0:
            raise ConfigError(
                "APE: expected candidates and demonstrations of 1 or more and paraphrases of 0 or more, "
                f"found {self}."
            )

    def run(self, search: Search) -> None:
        """Tries instructions; see `Method`."""
        reader = search.scorer.reader
        search.propose(
            {
                name: from_demonstrations(search.shown(name, self.demonstrations), reader)
                for name in search.names("ape", self.candidates)
            }
        )
        if self.paraphrases:
            (best,) = search.best(1)
            names = search.names("paraphrase", self.paraphrases)
            messages = {
                name: paraphrased(best.instruction, number, self.paraphrases)
                for number, name in enumerate(names, start=1)
            }
            search.propose(messages, parent=best.name)

    def most_calls(self, minibatch: int) -> int:
        """See `Method`."""
        return (self.candidates + self.paraphrases) * (1 + minibatch)
