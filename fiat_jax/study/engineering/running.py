"""A search in its run folder, from the start to a result, with its history."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import Client, Store
from fiat_jax.reasoning.search import (
    APE,
    OPRO,
    Bootstrap,
    Candidate,
    Demonstration,
    History,
    Ledger,
    Outcome,
    Scorer,
    Search,
)
from fiat_jax.records import write_whole
from fiat_jax.study.engineering.page import write_page
from fiat_jax.study.engineering.slices import Sliced, Slices

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Engineering:
    """How a search is run.

    Attributes:
      methods: what finds candidates, in order.
      slices: which training examples do what.
      finalists: how many of the best on the minibatch are scored on the whole slice.
      concurrency: calls at a time.
      max_calls: how many calls the run folder may come to hold; None for any number.
      seed: of all that is drawn.
    """

    methods: Sequence[APE | OPRO | Bootstrap]
    slices: Slices = Slices()
    finalists: int = 3
    concurrency: int = 8
    max_calls: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.methods or self.finalists < 1:
            raise ConfigError(
                "engineer: expected one or more methods, such as @APE(), and finalists of 1 or more, "
                f"found {len(self.methods)} and {self.finalists}."
            )

    def most_calls(self, by_answers: bool) -> int:
        """How many calls the search may take to its end.

        Args:
          by_answers: whether each score takes one too.
        """
        slices, rest = self.slices, self.slices.score - self.slices.minibatch
        tried = sum(method.most_calls(slices.minibatch * by_answers) for method in self.methods)
        return tried + by_answers * (slices.score + self.finalists * rest + 2 * slices.confirm)


@contextmanager
def open_ledger(run_dir: Path, client: Client, engineering: Engineering) -> Iterator[Ledger]:
    """The calls of a run folder, while they may be made."""
    with Store(run_dir / "calls.sqlite") as store:
        ledger = Ledger(store, client, engineering.concurrency, engineering.max_calls)
        with ledger.stoppable():
            yield ledger


def run_search(
    run_dir: Path,
    start: Candidate,
    shown: Sequence[Demonstration],
    sliced: Sliced,
    scorer: Scorer,
    ledger: Ledger,
    engineering: Engineering,
    proposer: Client | None = None,
) -> Outcome:
    """Searches, and writes the history as a page, however it ends.

    Args:
      run_dir: gets history.jsonl, history.svg, report.html and, at the end, result.json.
      start: what is to be improved.
      shown: what proposals may see.
      sliced: the rows.
      scorer, ledger, proposer: see `Search`.
      engineering: how.

    Raises:
      BudgetReached, CallError, InterruptedRun, KeyboardInterrupt: as `Ledger.ask`; the same call goes on.
    """
    minibatch = sliced.score[: engineering.slices.minibatch]
    history = History(run_dir / "history.jsonl")
    search = Search(
        start,
        shown,
        sliced.propose,
        {"minibatch": minibatch, "score": sliced.score, "confirm": sliced.confirm},
        scorer,
        ledger,
        history,
        proposer,
        engineering.seed,
        show=_say,
    )
    most = engineering.most_calls(scorer.calls)
    _log.info("at most %d calls, of which %d are made", most, ledger.calls)
    outcome = None
    try:
        outcome = search.run(engineering.methods, engineering.finalists)
    finally:
        write_page(run_dir, history.entries, outcome)
    _write_result(run_dir, outcome, sliced, ledger.calls)
    return outcome


def _say(entry: Mapping[str, Any]) -> None:
    score = f"not tried: {entry['refused']}" if entry["score"] is None else f"{entry['score']:.3f}"
    _log.info("%-14s %-9s  %s  (%d calls)", entry["name"], entry["part"], score, entry["calls"])


def _write_result(run_dir: Path, outcome: Outcome, sliced: Sliced, calls: int) -> None:
    compared = {"scored": outcome.scored, "confirmed": outcome.confirmed}
    result = {
        "verdict": outcome.verdict,
        "text": str(outcome),
        "chosen": outcome.chosen.name,
        "winner": outcome.winner.name,
        **{name: None if one is None else asdict(one) for name, one in compared.items()},
        "calls": calls,
        "slices": {name: [row["id"] for row in rows] for name, rows in sliced._asdict().items()},
    }
    write_whole(run_dir / "result.json", json.dumps(result, indent=2, ensure_ascii=False) + "\n")
