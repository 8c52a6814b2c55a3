"""How answers are scored.

- `metric`: what a metric is. `places`: languages, groups of them and all, each with scores and intervals.
- `text`: SQuAD's F1 and exact match, and MLQA's. `labels`: accuracy, macro F1, and areas of ranked labels.
- `numeric`: the number that a text gives. `answerability`: 'No Answer'. `generation`: chrF, BLEU, ROUGE.
"""

from collections.abc import Mapping, Sequence

from fiat_jax.data.metrics.answerability import ANSWERABILITY
from fiat_jax.data.metrics.generation import BLEU, CHRF, ROUGE
from fiat_jax.data.metrics.labels import ACCURACY, MACRO_F1
from fiat_jax.data.metrics.metric import Answers, Metric
from fiat_jax.data.metrics.numeric import NUMERIC
from fiat_jax.data.metrics.text import MLQA, SQUAD
from fiat_jax.errors import ConfigError

METRICS: Mapping[str, Metric] = {
    "squad": SQUAD,
    "mlqa": MLQA,
    "accuracy": ACCURACY,
    "macro_f1": MACRO_F1,
    "numeric": NUMERIC,
    "answerability": ANSWERABILITY,
    "chrf": CHRF,
    "bleu": BLEU,
    "rouge": ROUGE,
}
"""The metrics that `Task.metrics` may name."""

LABELS: Mapping[str, str] = {
    name: label for metric in METRICS.values() for name, label in metric.labels.items()
}
"""What tables call every score; no two metrics share a name."""


def load_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of some names, which must be known.

    Raises:
      ConfigError: one needs a package that is not here.
    """
    metrics = tuple(METRICS[name] for name in names)
    for metric in metrics:
        metric.check()
    return metrics


def score_each(names: Sequence[str], answers: Answers, prediction: str, language: str) -> dict[str, float]:
    """The scores of one example by name, of those metrics that are means over examples.

    Args:
      names: of metrics, as `Task.metrics` has them.
      answers, prediction, language: the example's.

    Raises:
      ConfigError: as `load_metrics`.
    """
    scores: dict[str, float] = {}
    for metric in load_metrics(names):
        if metric.each is not None:
            values = map(float, metric.each(answers, prediction, language))
            scores |= zip(metric.labels, values, strict=True)
    return scores


def single_scores(names: Sequence[str]) -> tuple[str, ...]:
    """The names of the scores that `score_each` gives."""
    return tuple(score for name in names if METRICS[name].each is not None for score in METRICS[name].labels)


def own_score(names: Sequence[str]) -> str:
    """The first of the `single_scores`.

    Raises:
      ConfigError: there is none.
    """
    scores = single_scores(names)
    if not scores:
        raise ConfigError(
            "Task.metrics: expected one that scores each example by itself, such as squad or accuracy, "
            f"found {', '.join(names)}, for all examples together; add one."
        )
    return scores[0]
