"""When the large model is asked: only where the tuned model is unsure of the answer it gives without."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fiat_jax.decoding.stream import Answer
from fiat_jax.errors import ConfigError

FILE = "cascade.json"
"""Where a run folder keeps its threshold, and the curve that it was chosen from."""

EVERY = 1.0
"""A threshold below which all answers are: no log-probability reaches it."""


@dataclass(frozen=True)
class Cascade:
    """Answers without a rationale first, and asks the large model only about what is unsure then.

    Attributes:
      threshold: the log-probability a token below which an answer is unsure; None for that of the run
        folder, which `fiat cascade` chooses.
    """

    threshold: float | None = None

    def of_run(self, run_dir: Path, step: int) -> float:
        """The threshold to answer with.

        Args:
          run_dir: the run folder.
          step: the checkpoint's that answers.

        Raises:
          ConfigError: there is none, or it was chosen for another checkpoint.
        """
        if self.threshold is not None:
            return self.threshold
        path = run_dir / FILE
        if not path.exists():
            raise ConfigError(
                f"{path}: expected a threshold, found no file; choose one with `fiat cascade`, or set "
                "Cascade.threshold."
            )
        chosen = json.loads(path.read_text(encoding="utf-8"))
        if chosen["step"] != step:
            raise ConfigError(
                f"{path}: expected a threshold for the checkpoint of step {step}, found one for step "
                f"{chosen['step']}; choose it again with `fiat cascade`."
            )
        return float(chosen["threshold"])


class Point(NamedTuple):
    """What a threshold costs, and what it gives.

    Attributes:
      share: of the examples that the large model is asked about.
      threshold: it is asked about those that are less sure.
      quality: mean score of the answers.
    """

    share: float
    threshold: float
    quality: float


def sureness(written: Answer) -> float:
    """The log-probability of an answer a token, its end among them."""
    return float(written.scores[0]) / (len(written.tokens[0]) + 1)


def trade_off(sure: Sequence[float], without: Sequence[float], asked: Sequence[float]) -> list[Point]:
    """Quality by the share of examples that are asked about, the least sure first.

    Args:
      sure: how sure each answer without a rationale is.
      without: the score of that answer.
      asked: the score of the answer with the large model's rationale.

    Returns:
      From nobody asked to all; examples that are equally sure are asked about together, and a threshold lies
      half-way between those that are and those that are not.
    """
    order = np.argsort(sure, kind="stable")
    ranked = np.asarray(sure, np.float64)[order]
    gains = np.cumsum((np.asarray(asked, np.float64) - np.asarray(without, np.float64))[order])
    before, count = float(np.mean(without)), len(ranked)
    points = [Point(0.0, float(ranked[0]) - 1.0, before)]
    for k in range(1, count + 1):
        if k < count and ranked[k] == ranked[k - 1]:
            continue
        threshold = EVERY if k == count else float(ranked[k - 1] + ranked[k]) / 2
        points.append(Point(k / count, threshold, before + float(gains[k - 1]) / count))
    return points


def check_wanted(share: float | None, quality: float | None) -> None:
    """Makes sure that one of the two is wanted.

    Raises:
      ConfigError: both are, or neither, or the share is none.
    """
    if (share is None) == (quality is None):
        raise ConfigError(
            f"cascade: expected either a share of calls or a quality that is wanted, found share = {share} "
            f"and quality = {quality}; give one."
        )
    if share is not None and not 0 <= share <= 1:
        raise ConfigError(f"cascade.share: expected a share from 0 to 1, found {share}.")


def choose(points: Sequence[Point], share: float | None = None, quality: float | None = None) -> Point:
    """The point with the most calls up to a share, or the fewest calls that reach a quality.

    Raises:
      ConfigError: as `check_wanted`; or no point is so good.
    """
    check_wanted(share, quality)
    if share is not None:
        return [point for point in points if point.share <= share][-1]
    good = [point for point in points if quality is not None and point.quality >= quality]
    if not good:
        best = max(points, key=lambda point: point.quality)
        raise ConfigError(
            f"cascade.quality: expected at most the {best.quality:.1f} that is reached when {best.share:.0%} "
            f"of the examples are asked about, found {quality}."
        )
    return good[0]
