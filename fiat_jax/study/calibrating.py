"""The temperature of a run: fitted on a split, kept in its folder, and found there again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fiat_jax.decoding import Rank, expected_calibration_error, fit_temperature, negative_log_likelihood
from fiat_jax.errors import ConfigError
from fiat_jax.parallel.hosts import check_same, is_first
from fiat_jax.records import write_whole
from fiat_jax.study.ranking import Ranking

FILE = "calibration.json"
"""Where a run folder keeps its temperature, and what it was fitted on."""


def calibrate_ranking(run_dir: Path, ranking: Ranking, right: np.ndarray, split: str, step: int) -> Ranking:
    """Fits the temperature of a ranking and writes it to the run folder.

    Args:
      run_dir: the run folder; gets calibration.json.
      ranking: of a split, at temperature 1.
      right: [N] int, the right labels.
      split: its name.
      step: the checkpoint's that ranked it.

    Returns:
      The same ranking with the probabilities of that temperature.
    """
    scores = ranking.scores
    temperature = fit_temperature(scores, right)
    rank = replace(ranking.rank, temperature=temperature)
    after = Ranking(ranking.labels, rank.probabilities(scores), scores, rank)
    found = {
        "temperature": temperature,
        "split": split,
        "n": len(right),
        "nll_before": negative_log_likelihood(scores, right),
        "nll_after": negative_log_likelihood(scores, right, temperature),
        "ece_before": expected_calibration_error(ranking.probabilities, right),
        "ece_after": expected_calibration_error(after.probabilities, right),
        **_of(ranking.rank, step),
    }
    if is_first():
        write_whole(run_dir / FILE, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return after


def calibrated(run_dir: Path, rank: Rank, step: int) -> Rank:
    """A rank with a temperature: its own, or that of the run folder, or 1.

    Args:
      run_dir: the run folder.
      rank: how labels are ranked.
      step: the checkpoint's that ranks them.

    Raises:
      ConfigError: the temperature of the folder was fitted for other labels, another ranking or checkpoint.
      DataError: not all processes read the same.
    """
    path = run_dir / FILE
    if rank.temperature is not None:
        return rank
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    check_same(FILE, text)
    found = json.loads(text) if text else {"temperature": 1.0, **_of(rank, step)}
    for name, value in _of(rank, step).items():
        if found.get(name) != value:
            raise ConfigError(
                f"{path}: expected a temperature for {name} {value!r}, found one for {found.get(name)!r}; "
                "fit it again with --gin.eval.calibrate=True, or set Rank.temperature."
            )
    return replace(rank, temperature=found["temperature"])


def _of(rank: Rank, step: int) -> dict[str, Any]:
    """What a temperature is for, as JSON has it."""
    return {
        "labels": list(rank.labels),
        "length_normalisation": rank.length_normalisation,
        "first_token": rank.first_token,
        "step": step,
    }
