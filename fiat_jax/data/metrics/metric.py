"""What a metric is: scores of some examples, each of which counts a number of times."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fiat_jax.errors import ConfigError

Answers = str | Sequence[str]
"""A good answer, or several of which any will do."""

Score = Callable[[np.ndarray], Sequence[float]]
"""The scores of N examples where each counts as often as [N] floats say.

Once each gives what is reported; as often as they were drawn, a draw of the bootstrap.
"""

Prepare = Callable[[Sequence[Answers], Sequence[str], str], Score]
"""Of the good answers and the predictions of examples of one language, '' where it is not known."""

Each = Callable[[Answers, str, str], Sequence[float]]
"""The scores of one example, 0 to 100: of its good answers, the prediction and the language."""


@dataclass(frozen=True)
class Metric:
    """A way to score answers.

    Attributes:
      labels: its scores by name, with what tables call them. The first leads.
      prepare: the scores of some examples, 0 to 100.
      each: those of one example, of which `prepare` gives the means; None where they are no such means.
      package: what has to be installed, '' for nothing more.
    """

    labels: Mapping[str, str]
    prepare: Prepare
    each: Each | None = None
    package: str = ""

    def __call__(
        self, targets: Sequence[Answers], predictions: Sequence[str], language: str = ""
    ) -> dict[str, float]:
        """The scores of examples of one language, by name.

        Args:
          targets: for each example its answer, or several, of which the best match counts.
          predictions: as many.
          language: as in the task; '' where it is not known.

        Raises:
          ConfigError: as `check`.
        """
        self.check()
        score = self.prepare(targets, predictions, language)
        return dict(zip(self.labels, map(float, score(np.ones(len(predictions)))), strict=True))

    def check(self) -> None:
        """Makes sure that the metric can be computed here.

        Raises:
          ConfigError: a package is missing.
        """
        if self.package and importlib.util.find_spec(self.package) is None:
            raise ConfigError(
                f"Task.metrics: expected the package {self.package!r} for {', '.join(self.labels)}, found "
                "none; install it with `pip install 'fiat-jax[metrics]'`."
            )


def mean_of_examples(labels: Mapping[str, str], each: Each, package: str = "") -> Metric:
    """The metric whose scores are the means of those of its examples."""

    def prepare(targets: Sequence[Answers], predictions: Sequence[str], language: str) -> Score:
        pairs = zip(targets, predictions, strict=True)
        rows = np.array([each(target, prediction, language) for target, prediction in pairs], float)
        return lambda counts: counts @ rows / counts.sum()

    return Metric(labels, prepare, each, package)


def several(answers: Answers) -> Sequence[str]:
    """The good answers, of which there may be one."""
    return (answers,) if isinstance(answers, str) else answers
