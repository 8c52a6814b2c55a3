"""A search for a better prompt: methods try candidates on a few examples, and the best meet the start on all.

Then the winner and the start are scored once more on examples that nothing was chosen by, since the best of
many on the same examples looks better than it is. All that happens follows from the settings, the seed and
the answers: a search that was killed walks through its history and goes on.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fiat_jax.reasoning.calls import Client, Request
from fiat_jax.reasoning.search.candidates import Candidate, Demonstration, Row, Worked
from fiat_jax.reasoning.search.history import History
from fiat_jax.reasoning.search.intervals import Difference, compare
from fiat_jax.reasoning.search.ledger import Ledger
from fiat_jax.reasoning.search.wording import read_instruction

Part = Literal["minibatch", "score", "confirm"]
Key = tuple[str, tuple[str, ...] | None]

LONGEST = 1500
"""Characters that a proposed instruction may have."""


class Scorer(Protocol):
    """What says how good candidates are."""

    reader: str
    """Whom instructions are for, as those who propose them are told."""

    calls: bool
    """Whether a score takes a call of the large model."""

    def finished(self, instruction: str) -> str:
        """An instruction as it was proposed, made one that can be used."""
        ...

    def unfit(self, candidate: Candidate) -> str:
        """Why a candidate cannot be tried; '' if it can."""
        ...

    def scores(self, candidate: Candidate, rows: Sequence[Row]) -> list[float]:
        """A score a row, in order; higher is better."""
        ...

    def work(self, candidate: Candidate, rows: Sequence[Row]) -> list[Worked]:
        """What a candidate makes of rows, where that can become exemplars."""
        ...


class Method(Protocol):
    """A way to find candidates."""

    def run(self, search: "Search") -> None:
        """Tries candidates on a search."""
        ...

    def most_calls(self, minibatch: int) -> int:
        """How many calls it may take, where each example that a candidate is tried on is one."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a search has come to.

    Attributes:
      chosen: the prompt to use: the winner, or the start where the winner was not better on new examples.
      winner: the best on the examples that candidates are chosen by; may be the start.
      verdict: 'better' (the interval on new examples is above 0), 'unsure' (their mean is), or 'start'.
      scored, confirmed: winner and start on both; None where the start has won.
    """

    chosen: Candidate
    winner: Candidate
    verdict: Literal["better", "unsure", "start"]
    scored: Difference | None = None
    confirmed: Difference | None = None

    def __str__(self) -> str:
        if self.scored is None or self.confirmed is None:
            return "nothing that was tried is better than the start, which stays."
        found = f"{self.winner.name}: {self.scored}; on untouched examples {self.confirmed}"
        if self.verdict == "better":
            return f"{found}: better than the start."
        if self.verdict == "unsure":
            return f"{found}: it is used, but the interval holds 0, so the difference may be chance."
        return f"{found}: not better than the start, which stays."


class Search:
    """A search under way, as methods see it.

    Args:
      start: the prompt to be improved.
      demonstrations: examples that proposals may see.
      pool: the same examples as rows, of which exemplars are made.
      parts: the rows to score on: 'minibatch', which is the first of 'score', and 'confirm'.
      scorer: how good a candidate is.
      ledger: the calls.
      history: what is scored already, and where scores are kept.
      proposer: who writes instructions; by default the client of the ledger.
      seed: of all that is drawn.
      show: is told about each entry of the history.

    Attributes:
      tried: candidates with their mean on the minibatch, the start first.
    """

    def __init__(
        self,
        start: Candidate,
        demonstrations: Sequence[Demonstration],
        pool: Sequence[Row],
        parts: Mapping[Part, Sequence[Row]],
        scorer: Scorer,
        ledger: Ledger,
        history: History,
        proposer: Client | None = None,
        seed: int = 0,
        show: Callable[[Mapping[str, Any]], object] = lambda entry: None,
    ) -> None:
        self.start, self.demonstrations, self.pool, self.parts = start, demonstrations, pool, parts
        self.scorer, self.seed = scorer, seed
        self.tried: list[tuple[Candidate, float]] = []
        self._ledger, self._history, self._proposer = ledger, history, proposer
        self._show = show
        self._scores: dict[tuple[str, Part], list[float]] = {}
        self._keys: dict[Key, Candidate] = {}
        self._names: dict[str, int] = {}

    def run(self, methods: Sequence[Method], finalists: int) -> Outcome:
        """Searches to the end.

        Args:
          methods: in this order; each sees what those before it have tried.
          finalists: how many of the best on the minibatch are scored on all examples.

        Raises:
          BudgetReached, CallError, InterruptedRun, KeyboardInterrupt: as `Ledger.ask`; all is kept.
        """
        start = self.start
        self._keys[_key(start)] = start
        scores = self._scored(start, "score")
        self._scores[start.name, "minibatch"] = scores[: len(self.parts["minibatch"])]
        self.tried.append((start, _mean(self._scores[start.name, "minibatch"])))
        for method in methods:
            method.run(self)
        others = [candidate for candidate in self.best(len(self.tried)) if candidate is not start]
        means = {one.name: (one, _mean(self._scored(one, "score"))) for one in (start, *others[:finalists])}
        winner = max(means.values(), key=lambda one: one[1])[0]  # of equal ones the first
        return self._confirm(winner)

    def names(self, method: str, count: int) -> list[str]:
        """New names for candidates of a method."""
        first = self._names.get(method, 0) + 1
        self._names[method] = first + count - 1
        return [f"{method}-{number}" for number in range(first, first + count)]

    def draw(self, name: str) -> random.Random:
        """Chance for one purpose: a function of the seed and the name."""
        return random.Random(f"{self.seed} {name}")

    def shown(self, name: str, count: int) -> list[Demonstration]:
        """Demonstrations for one proposal."""
        return self.draw(name).sample(self.demonstrations, min(count, len(self.demonstrations)))

    def best(self, count: int) -> list[Candidate]:
        """The best on the minibatch, the best first; of equal ones the earlier."""
        return [one for one, _ in sorted(self.tried, key=lambda one: -one[1])[:count]]

    def propose(self, messages: Mapping[str, str], parent: str | None = None) -> None:
        """Has instructions written, and tries each.

        Args:
          messages: what to ask for a candidate, by its name.
          parent: the name of what they are made from.
        """
        requests = [
            Request(f"propose/{name}", ({"role": "user", "content": text},))
            for name, text in messages.items()
        ]
        replies = self._ledger.ask(requests, self._proposer)
        for name, reply in zip(messages, replies, strict=True):
            instruction = self.scorer.finished(read_instruction(reply.text))
            candidate = Candidate(name, instruction, self.start.exemplars, parent)
            if reply.cut:
                self.refuse(candidate, "the reply ends at the token limit of who proposes")
            else:
                self.trial(candidate)

    def trial(self, candidate: Candidate) -> float | None:
        """Scores a candidate on the minibatch, unless it is another one again.

        Returns:
          Its mean, or None if it cannot be tried; why is in the history.
        """
        same = self._keys.get(_key(candidate))
        if same is not None:
            return self.refuse(
                candidate, f"the same as {same.name}", self._scores.get((same.name, "minibatch"))
            )
        self._keys[_key(candidate)] = candidate
        if why := self._unfit(candidate):
            return self.refuse(candidate, why)
        mean = _mean(self._scored(candidate, "minibatch"))
        self.tried.append((candidate, mean))
        return mean

    def _unfit(self, candidate: Candidate) -> str:
        if candidate.instruction == self.start.instruction:  # with other exemplars
            return ""
        if not candidate.instruction:
            return "the reply holds no instruction"
        if (length := len(candidate.instruction)) > LONGEST:
            return f"{length} characters, more than {LONGEST}"
        return self.scorer.unfit(candidate)

    def refuse(self, candidate: Candidate, why: str, scores: Sequence[float] | None = None) -> float | None:
        """Notes why a candidate is not tried.

        Args:
          candidate: which.
          why: a few words.
          scores: of the one that it is the same as.

        Returns:
          The mean of those scores, if there are any.
        """
        fields = _fields(candidate) | {"part": "minibatch", "refused": why}
        self._note(fields, lambda: {"score": None})
        return None if scores is None else _mean(scores)

    def _scored(self, candidate: Candidate, part: Part) -> list[float]:
        """The scores of a candidate on a part, from the history where that has them."""
        known = (candidate.name, part)
        if known not in self._scores:
            rows = self.parts[part]
            fields = _fields(candidate) | {"part": part, "n": len(rows)}
            entry = self._note(fields, lambda: self._measured(candidate, part, rows))
            self._scores[known] = entry["scores"]
        return self._scores[known]

    def _measured(self, candidate: Candidate, part: Part, rows: Sequence[Row]) -> dict[str, Any]:
        before = self._scores.get((candidate.name, "minibatch"), []) if part == "score" else []
        found = self.scorer.scores(candidate, rows[len(before) :])
        scores = [*before, *(round(score, 6) for score in found)]
        return {"score": _mean(scores), "scores": scores}

    def _note(self, fields: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The next entry of the history, made where it is not there yet."""
        entry = self._history.known(fields)
        if entry is None:
            self._ledger.check()
            entry = fields | make()
            entry["calls"] = self._ledger.calls
            self._history.add(entry)
        self._show(entry)
        return entry

    def _confirm(self, winner: Candidate) -> Outcome:
        if winner is self.start:
            return Outcome(winner, winner, "start")
        scored = self._compared(winner, "score")
        confirmed = self._compared(winner, "confirm")
        if confirmed.mean <= 0:
            return Outcome(self.start, winner, "start", scored, confirmed)
        return Outcome(winner, winner, "better" if confirmed.low > 0 else "unsure", scored, confirmed)

    def _compared(self, winner: Candidate, part: Part) -> Difference:
        return compare(self._scored(self.start, part), self._scored(winner, part), self.seed)


def _key(candidate: Candidate) -> Key:
    ids = candidate.ids
    return candidate.instruction, None if ids is None else tuple(ids)


def _fields(candidate: Candidate) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "parent": candidate.parent,
        "instruction": candidate.instruction,
        "exemplars": candidate.ids,
    }


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)
