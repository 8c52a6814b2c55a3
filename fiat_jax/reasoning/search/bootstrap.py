"""Exemplars that the large model has written itself, and which of them go with which instruction."""

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.search.candidates import Candidate, Row
from fiat_jax.reasoning.search.search import Search

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bootstrap:
    """Exemplars from right answers, and combinations of instruction and exemplars, as MIPRO searches them.

    The large model answers examples under the best instruction so far. Those that it gets right become
    exemplars, with what it wrote. Sets of them are drawn, and Optuna's TPE (extra `engineer`) chooses which
    set to try with which instruction.

    Attributes:
      asked: how many examples the large model answers, at most.
      right: the least score, from 0 to 1, of an answer that makes an exemplar.
      shots: exemplars in a set.
      sets: how many sets are drawn.
      instructions: how many of the best instructions so far are combined with them.
      trials: combinations that are tried.

    Source: Opsahl-Ong et al., Optimizing Instructions and Demonstrations for Multi-Stage Language Model
    Programs.
    """

    asked: int = 40
    right: float = 1.0
    shots: int = 3
    sets: int = 6
    instructions: int = 3
    trials: int = 10

    def __post_init__(self) -> None:
        numbers = (self.asked, self.shots, self.sets, self.instructions, self.trials)
        if min(numbers) < 1 or not 0 < self.right <= 1:
            raise ConfigError(f"Bootstrap: expected numbers of 1 or more, right up to 1, found {self}.")
        if importlib.util.find_spec("optuna") is None:
            raise ConfigError(
                "Bootstrap: expected Optuna, which chooses combinations, found it not installed; "
                "pip install 'fiat-jax[engineer]', or leave Bootstrap out of the methods."
            )

    def run(self, search: Search) -> None:
        """Tries combinations; see `Method`."""
        (best,) = search.best(1)
        worked = search.scorer.work(best, search.pool[: self.asked])
        right = [one for one in worked if one.score >= self.right]
        _log.info("bootstrap: %d of %d answers of %s are right", len(right), len(worked), best.name)
        if not right:
            (name,) = search.names("bootstrap", 1)
            why = f"no exemplars: none of {len(worked)} answers of {best.name} is right"
            search.refuse(Candidate(name, best.instruction, (), best.name), why)
            return
        pool = [{**one.row, "rationale": one.rationale} for one in right]
        sets: list[tuple[Row, ...] | None] = [search.start.exemplars]
        for number in range(self.sets):
            draw = search.draw(f"exemplars {number}")
            sets.append(tuple(draw.sample(pool, min(self.shots, len(pool)))))
        self._combine(search, search.best(self.instructions), sets)

    def _combine(
        self, search: Search, leaders: Sequence[Candidate], sets: Sequence[tuple[Row, ...] | None]
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=search.seed, n_startup_trials=max(self.trials // 3, 1))
        study = optuna.create_study(sampler=sampler, direction="maximize")
        for name in search.names("bootstrap", self.trials):
            trial = study.ask()
            leader = leaders[trial.suggest_categorical("instruction", range(len(leaders)))]
            exemplars = sets[trial.suggest_categorical("exemplars", range(len(sets)))]
            mean = search.trial(Candidate(name, leader.instruction, exemplars, leader.name))
            if mean is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, mean)

    def most_calls(self, minibatch: int) -> int:
        """See `Method`."""
        return self.asked + self.trials * minibatch
