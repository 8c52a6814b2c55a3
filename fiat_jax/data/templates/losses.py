"""How much many examples have lost to fit."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fiat_jax.data.templates.fitting import Cut


class Loss(NamedTuple):
    """What a field has lost in several examples.

    Attributes:
      examples: how many.
      share: of the field, in the mean over them.
    """

    examples: int
    share: float


class Tally:
    """Counts what examples have lost.

    Args:
      cuts: of the first examples.

    Attributes:
      examples: how many have lost something.
    """

    def __init__(self, cuts: Iterable[Cut] = ()) -> None:
        self.examples = 0
        self._counts, self._shares = Counter[str](), dict[str, float]()
        for cut in cuts:
            self.add(cut)

    def add(self, cut: Cut) -> None:
        """Counts an example more."""
        self.examples += bool(cut)
        for name, share in cut.items():
            self._counts[name] += 1
            self._shares[name] = self._shares.get(name, 0.0) + share

    def losses(self) -> dict[str, Loss]:
        """What each field has lost."""
        return {name: Loss(count, self._shares[name] / count) for name, count in self._counts.items()}

    def __str__(self) -> str:
        return describe_losses(self.examples, self.losses())


def describe_losses(examples: int, losses: Mapping[str, Loss]) -> str:
    """Such as '12 cut (on average context by 31 %, rationale by 9 % in 5)', or '0 cut'.

    Args:
      examples: how many have lost something.
      losses: by field; how many lost some of it is said where that is not all of them.
    """
    each = [
        f"{name} by {100 * loss.share:.0f} %{f' in {loss.examples}' * (loss.examples < examples)}"
        for name, loss in losses.items()
    ]
    return f"{examples} cut" + (f" (on average {', '.join(each)})" if each else "")
