"""A run that answers new rows as training reads them: rationale first, then the tuned model (Algorithm 2)."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from fiat_jax.checkpoints.inspection import METADATA
from fiat_jax.data.mixing import Kind, RationaleMix, check_mixed, check_reads_rationales
from fiat_jax.data.templates import Cut
from fiat_jax.data.unlabelled import encode_input
from fiat_jax.decoding.search import BeamSearch, Greedy, Search
from fiat_jax.decoding.speculative import SpeculativeDecoder
from fiat_jax.decoding.stream import Answer, Decoder, Request, Take
from fiat_jax.errors import ConfigError
from fiat_jax.parallel.hosts import agreed_text, is_first
from fiat_jax.study.answering import decoder, longest_first, seed_of
from fiat_jax.study.bounds import Bounded, Bounds
from fiat_jax.study.cascading import Cascade, sureness
from fiat_jax.study.drafting import Draft, drafted
from fiat_jax.study.evaluation import best_step, best_weights
from fiat_jax.study.experiment import Experiment, assemble
from fiat_jax.study.rationales import Rationales, Reasoner

OURS = ("prediction", "score", "tokens", "predictions", "scores", "cut")
"""The fields that every answer adds to its row."""


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
      cascade: asks the large model only about what is unsure without it; None to ask about all.
      mix: what share of the rows is shown without rationale, or with another's; None for neither.

    Attributes:
      task, variant: of the experiment.
      search, reasoner, batch_size, bounds: as given.
      rationales: where they come from, opened; None where the variant is not fiat.
      threshold: how sure an answer without rationale must be; None where there is no cascade.

    Raises:
      ConfigError: a draft cannot run ahead of that search; or a cascade or a mix does not go with the rest.
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
        cascade: Cascade | None = None,
        mix: RationaleMix | None = None,
    ) -> None:
        if draft is not None and (bounds is not None or search != Greedy()):
            raise ConfigError(
                f"draft: expected a plain Greedy search without bounds to run ahead of, found "
                f"{search}{'' if bounds is None else f' and {bounds}'}; leave one of them out."
            )
        check_mixed(mix, experiment.variant, "rationale_mix")
        if mix is not None and mix.wrong and reasoner.client is not None:
            raise ConfigError(
                "RationaleMix.wrong: expected the rationales of a file or store to exchange, found a client; "
                "leave one of them out."
            )
        self.threshold = None
        if cascade is not None:
            _check_cascade(experiment, search, mix)
            self.threshold = cascade.of_run(run_dir, best_step(run_dir))
        self.task, self.variant = experiment.task, experiment.variant
        self.search, self.reasoner = search, reasoner
        self._tokens = self.task.tokens()
        self.rationales = Rationales(reasoner, self.task) if self.variant == "fiat" else None
        self.batch_size, self.bounds = batch_size, bounds
        self._draft, self._mix = draft, mix
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
        return self.answers([self.check(row, f"row {number}") for number, row in enumerate(rows)])

    def answers(self, checked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The same for rows that are checked; each process of a job gets all.

        Raises:
          DataError: a row does not fit.
          CallError, ConfigError: the large model gives no rationale.
        """
        every = range(len(checked))
        answered = dict(zip(every, self._answered(checked, self.rationale), strict=True))
        unsure = [at for at in every if self.unsure(answered[at].written)]
        if unsure:
            again = self._answered([checked[at] for at in unsure], self.ask)
            answered |= dict(zip(unsure, again, strict=True))
        return [self.answer(row, *answered[at]) for at, row in enumerate(checked)]

    def _answered(
        self, rows: Sequence[Mapping[str, Any]], rationale: Callable[[Mapping[str, Any]], str | None]
    ) -> list["_Answered"]:
        """The rows answered with the rationales that are made for them."""
        rationales: list[str | None] = []
        if is_first():
            with ThreadPoolExecutor(self.reasoner.concurrency) as threads:
                rationales = list(threads.map(rationale, rows))
        rationales = json.loads(agreed_text(json.dumps(rationales)))
        requests = [self.request(*one) for one in zip(rows, rationales, strict=True)]
        written = dict(self.run(longest_first(request for request, _ in requests)))
        return [
            _Answered(why, written[at], cut)
            for at, (why, (_, cut)) in enumerate(zip(rationales, requests, strict=True))
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
        self.check_rationale(checked, where)
        return checked

    def check_rationale(self, row: Mapping[str, Any], where: str) -> None:
        """Makes sure that there is a rationale for a row, or somebody to ask, if it needs its own.

        Raises:
          DataError: there is neither.
        """
        if self.rationales is not None and self._kind(row) == "own":
            self.rationales.check(row, where)

    def rationale(self, row: Mapping[str, Any]) -> str | None:
        """The rationale that a checked row is first answered with.

        Returns:
          As `ask`; None for none, where there is a cascade or a mix has it so; '' where the variant is not
          fiat.

        Raises:
          DataError, CallError, ConfigError: as `ask`.
        """
        if self.rationales is None:
            return ""
        kind = self._kind(row)
        if self.threshold is not None or kind == "without":
            return None
        if self._mix is not None and kind == "wrong":
            return self.rationales.of_another(row, self._mix.seed)
        return self.rationales.of(row)

    def unsure(self, written: Answer) -> bool:
        """Whether a first answer is so unsure that the large model is asked."""
        return self.threshold is not None and sureness(written) < self.threshold

    def ask(self, row: Mapping[str, Any]) -> str:
        """The rationale of a checked row: its own, or the store's, or what the large model answers now.

        Raises:
          DataError: there is none, and nobody to ask.
          CallError: the large model gives none to this row.
          ConfigError: the large model gives none to any row.
        """
        assert self.rationales is not None
        return self.rationales.of(row)

    def _kind(self, row: Mapping[str, Any]) -> Kind:
        """Whose rationale a row is shown with; follows from its id and the mix's seed."""
        if self._mix is None:
            return "own"
        digest = hashlib.sha256(f"{self._mix.seed} {row['id']}".encode()).digest()
        return self._mix.kind(int.from_bytes(digest[:6], "big") / 2**48)

    def request(
        self, row: Mapping[str, Any], rationale: str | None, seed: int | None = None, adapter: int = -1
    ) -> tuple[Request, Cut]:
        """What the decoder is asked about a checked row, and what of it was shortened.

        Args:
          row: a checked row.
          rationale: its rationale; None to answer as the instruction variant does.
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
        self, row: Mapping[str, Any], rationale: str | None, written: Answer, cut: Cut
    ) -> dict[str, Any]:
        """The row with what was written for it.

        Returns:
          The row, with 'prediction', a label where the task has another text written for it; 'score', its
          log-probability, or the score of beams; 'tokens', how many it took, its end not counted; 'rationale'
          as used, where the variant is fiat, '' for none; 'cut', where the input was shortened, the share
          that each field has lost; 'predictions' and 'scores' of all, the best first, where beams give
          several; 'asked', whether the large model was, where there is a cascade; 'shown', whose rationale it
          was, where there is a mix.
        """
        texts = [self.task.read(self._tokens.decode(ids)) for ids in written.tokens]
        scores = [round(float(score), 4) for score in written.scores]
        answered = {name: value for name, value in row.items() if name not in self.ours}
        answered |= {"prediction": texts[0], "score": scores[0], "tokens": len(written.tokens[0])}
        if isinstance(self.search, BeamSearch) and self.search.n_best > 1:
            answered |= {"predictions": texts, "scores": scores}
        if self.variant == "fiat":
            answered["rationale"] = rationale or ""
        if self.threshold is not None:
            answered["asked"] = rationale is not None
        if self._mix is not None:
            answered["shown"] = self._kind(row)
        return answered | ({"cut": dict(cut)} if cut else {})

    @property
    def ours(self) -> tuple[str, ...]:
        """The fields that an answer adds to its row, in the place of any that it had."""
        added = [name for name, adds in (("asked", self.threshold), ("shown", self._mix)) if adds is not None]
        return (*OURS, *added)

    def settings(self) -> dict[str, Any]:
        """All that the answers depend on besides the rows, as JSON."""
        task, (_, step, base) = self.task, self._loaded
        added = {"threshold": self.threshold, "mix": None if self._mix is None else repr(self._mix)}
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
            **{name: value for name, value in added.items() if value is not None},
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


class _Answered(NamedTuple):
    """What a row was answered with, as `Predictor.answer` takes it."""

    rationale: str | None
    written: Answer
    cut: Cut


def _check_cascade(experiment: Experiment, search: Search, mix: RationaleMix | None) -> None:
    check_reads_rationales(experiment.variant, "cascade")
    if not isinstance(search, Greedy) or mix is not None:
        raise ConfigError(
            "cascade: expected a Greedy search and no rationale_mix, as the threshold was chosen so, found "
            f"{search}{'' if mix is None else f' and {mix}'}; leave one of them out."
        )


def _id_of(row: Mapping[str, Any]) -> str:
    """An id for a row without one: equal rows have equal ids."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:16]
