"""A run that answers new rows as training reads them: rationale first, then the tuned model (Algorithm 2)."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from fiat_jax.checkpoints.inspection import METADATA
from fiat_jax.data.unlabelled import encode_input
from fiat_jax.decoding.search import BeamSearch, Greedy, Search
from fiat_jax.decoding.speculative import SpeculativeDecoder
from fiat_jax.decoding.stream import Answer, Decoder, Request, Take
from fiat_jax.errors import ConfigError
from fiat_jax.study.answering import decoder, longest_first, seed_of
from fiat_jax.study.bounds import Bounded, Bounds
from fiat_jax.study.drafting import Draft, drafted
from fiat_jax.study.evaluation import best_weights
from fiat_jax.study.experiment import Experiment, assemble
from fiat_jax.study.rationales import Rationales, Reasoner

OURS = ("prediction", "score", "tokens", "predictions", "scores", "cut")
"""The fields that an answer adds to its row, in the place of any that it had."""


class Predictor:
    """The best checkpoint of a run, loaded, for callers in Python, for files and for a server.

    `check`, `rationale` and `request` may be called from many threads at once; `run`, and the predictor
    itself, from one at a time.

    Args:
      run_dir: the run folder.
      experiment: what was tuned on what.
      search: how an answer's tokens are chosen.
      reasoner: where rationales come from, for the fiat variant.
      batch_size: rows at a time; changes no answer.
      bounds: what answers may be; None for anything.
      draft: a small model that runs ahead; changes no answer.

    Attributes:
      task, variant: of the experiment.
      search, reasoner, batch_size, bounds: as given.

    Raises:
      ConfigError: a draft cannot run ahead of that search.
      rationales: where they come from, opened; None where the variant is not fiat.
    """

    def __init__(
        self,
        run_dir: Path,
        experiment: Experiment,
        search: Search = Greedy(),
        reasoner: Reasoner = Reasoner(),
        batch_size: int = 32,
        bounds: Bounds | None = None,
        draft: Draft | None = None,
    ) -> None:
        if draft is not None and (bounds is not None or search != Greedy()):
            raise ConfigError(
                f"draft: expected a plain Greedy search without bounds to run ahead of, found "
                f"{search}{'' if bounds is None else f' and {bounds}'}; leave one of them out."
            )
        self.task, self.variant = experiment.task, experiment.variant
        self.search, self.reasoner = search, reasoner
        self._tokens = self.task.tokens()
        self.rationales = Rationales(reasoner, self.task) if self.variant == "fiat" else None
        self.batch_size, self.bounds = batch_size, bounds
        self._draft = draft
        self._bounded = None if bounds is None else Bounded(bounds, self.task)
        self._run_dir, self._experiment = run_dir, experiment

    @cached_property
    def _loaded(self) -> tuple[Decoder | SpeculativeDecoder, int, str]:
        """The decoder, the step of its weights, and the fingerprint of the base."""
        network = assemble(self._experiment, seed=0)
        weights, step = best_weights(self._run_dir, network)
        made: Decoder | SpeculativeDecoder
        if self._draft is not None:
            made = drafted(network, weights, self.task, self._draft, self.batch_size)
        else:
            constrained = self.bounds is not None
            made = decoder(network, weights, self.task, self.search, self.batch_size, constrained)
        return made, step, network.fingerprint

    @property
    def decoder(self) -> Decoder | SpeculativeDecoder:
        """What answers requests; loaded when it is first asked for, so that rows can be checked before.

        Raises:
          ConfigError: the run has no checkpoint.
          ConfigError, DataError: as `assemble`.
        """
        return self._loaded[0]

    @property
    def step(self) -> int:
        """The checkpoint's."""
        return self._loaded[1]

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Answers rows.

        Args:
          rows: each with the fields of the template's input. A row without an id gets one made of what is in
            it. Where the variant is fiat, a row may bring its own 'rationale'; one that does not gets that of
            its id in the store, or else the large model's.

        Returns:
          In the same order, each row with 'prediction', 'score', 'tokens', and what else `answer` adds.

        Raises:
          DataError: a row is wrong, has no rationale, or does not fit.
          CallError, ConfigError: the large model gives no rationale.
        """
        checked = [self.check(row, f"row {number}") for number, row in enumerate(rows)]
        with ThreadPoolExecutor(self.reasoner.concurrency) as threads:
            rationales = list(threads.map(self.rationale, checked))
        requests = [self.request(*one) for one in zip(checked, rationales, strict=True)]
        written = dict(self.run(longest_first(request for request, _ in requests)))
        return [
            self.answer(row, rationale, written[at], cut)
            for at, (row, rationale, (_, cut)) in enumerate(zip(checked, rationales, requests, strict=True))
        ]

    def check(self, row: Mapping[str, Any], where: str, id: str | None = None) -> dict[str, Any]:
        """The row with 'id' and 'language' as text, if it can be answered.

        Args:
          row: the fields of the template's input, and others.
          where: what errors call it.
          id: its id, if it has none of its own; by default one made of what is in it.

        Raises:
          DataError: a field is absent or no text, or there is no rationale and nobody to ask.
        """
        checked = self.task.unlabelled(row, where, _id_of(row) if id is None else id)
        if self.rationales is not None:
            self.rationales.check(checked, where)
        return checked

    def rationale(self, row: Mapping[str, Any]) -> str:
        """The rationale of a checked row: its own, or the store's, or what the large model answers now.

        Returns:
          '' where the variant is not fiat.

        Raises:
          DataError: there is none, and nobody to ask.
          CallError: the large model gives none to this row.
          ConfigError: the large model gives none to any row.
        """
        return self.rationales.of(row) if self.rationales is not None else ""

    def request(
        self, row: Mapping[str, Any], rationale: str, seed: int | None = None, adapter: int = -1
    ) -> tuple[Request, bool]:
        """What the decoder is asked about a checked row, and whether its passage was shortened.

        Args:
          row: a checked row.
          rationale: its rationale.
          seed: which random answer to give; by default one that follows from the row's id and the search's
            seed, and not from its place among others.
          adapter: see `Request`.

        Raises:
          DataError: it does not fit.
        """
        inputs, cut = encode_input(self.task, self._tokens, self.variant, row, rationale)
        seed = seed_of(row["id"], self.search) if seed is None else seed
        spans = None if self._bounded is None else self._bounded.spans(row)
        return Request(inputs, seed, spans, adapter), cut

    def run(self, take: Take) -> Iterator[tuple[Any, Answer]]:
        """Answers requests; see `Decoder.run`."""
        return self.decoder.run(take)

    def answer(
        self, row: Mapping[str, Any], rationale: str, written: Answer, cut: bool = False
    ) -> dict[str, Any]:
        """The row with what was written for it.

        Returns:
          The row, with 'prediction'; 'score', its log-probability, or the score of beams; 'tokens', how many
          it took, its end not counted; 'rationale' as used, where the variant is fiat; 'cut', true, where the
          passage was shortened; 'predictions' and 'scores' of all, the best first, where beams give several.
        """
        texts = [self._tokens.decode(ids) for ids in written.tokens]
        scores = [round(float(score), 4) for score in written.scores]
        answered = {name: value for name, value in row.items() if name not in OURS}
        answered |= {"prediction": texts[0], "score": scores[0], "tokens": len(written.tokens[0])}
        if isinstance(self.search, BeamSearch) and self.search.n_best > 1:
            answered |= {"predictions": texts, "scores": scores}
        if self.variant == "fiat":
            answered["rationale"] = rationale
        return answered | ({"cut": True} if cut else {})

    def settings(self) -> dict[str, Any]:
        """All that the answers depend on besides the rows, as JSON."""
        task, (_, step, base) = self.task, self._loaded
        saved = self._run_dir / "checkpoints" / str(step) / METADATA
        return {
            "checkpoint": hashlib.sha256(saved.read_bytes()).hexdigest(),
            "base": base,
            "variant": self.variant,
            "template": repr(task.template),
            "vocabulary": task.vocabulary,
            "lengths": [task.inputs_length, task.targets_length],
            "search": repr(self.search),
            "bounds": repr(self.bounds),
            "int8": self._experiment.base.answer_in_int8,
            "rationales": self.reasoner.described() if self.variant == "fiat" else "none",
        }

    def close(self) -> None:
        """Closes the rationale store."""
        if self.rationales is not None:
            self.rationales.close()

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _id_of(row: Mapping[str, Any]) -> str:
    """An id for a row without one: equal rows have equal ids."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:16]
