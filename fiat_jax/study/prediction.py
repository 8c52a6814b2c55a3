"""New inputs answered as training reads them: rationale first, then the tuned model (Algorithm 2)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fiat_jax.data.rendering import join_rationales
from fiat_jax.data.tasks import Task
from fiat_jax.data.unlabelled import encode_inputs, read_inputs
from fiat_jax.errors import ConfigError
from fiat_jax.parallel.hosts import agreed, check_same, is_first
from fiat_jax.reasoning import OpenAI, Prompt, Replay, Store, annotate
from fiat_jax.records import write_whole
from fiat_jax.study.answering import answer
from fiat_jax.study.evaluation import best_weights
from fiat_jax.study.experiment import Experiment, assemble
from fiat_jax.study.tuning import fingerprint


@dataclass(frozen=True)
class Reasoner:
    """Where the rationales of new inputs come from.

    Attributes:
      rationales: a store or JSONL file; None for the task's.
      client: the large model, asked for what the store lacks; None to ask nobody.
      prompt: what it is asked.
    """

    rationales: str | None = None
    client: OpenAI | Replay | None = None
    prompt: Prompt | None = None

    def rationales_of(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """One rationale a row; the client is asked by one process, and all read the store then.

        Raises:
          ConfigError: there is a client and no store to keep its answers in.
          DataError: a row has no rationale and there is no client.
        """
        if self.client is not None:
            if self.rationales is None:
                raise ConfigError(
                    "predict.rationales: expected a store to keep the client's answers in, found none."
                )
            if is_first():
                with Store(self.rationales) as store:
                    annotate({"predict": rows}, self.prompt, self.client, store)
            agreed(0)  # the others wait here
        return join_rationales(replace(task, rationales=self.rationales or task.rationales), rows)


def predict_file(
    run_dir: Path, experiment: Experiment, source: Path, target: Path, reasoner: Reasoner, batch_size: int
) -> int:
    """Answers the rows of a file and writes them, in order, with 'prediction' and, for fiat, 'rationale'.

    Returns:
      How many there were.

    Raises:
      ConfigError: the run has no checkpoint.
      DataError: a row is wrong or has no rationale.
    """
    task, variant = experiment.task, experiment.variant
    rows = read_inputs(source, task)
    fiat = variant == "fiat"
    rationales = reasoner.rationales_of(task, rows) if fiat else [""] * len(rows)
    examples = encode_inputs(task, variant, rows, rationales)
    check_same("rows and rationales", fingerprint(examples))
    network = assemble(experiment, seed=0)
    weights, _ = best_weights(run_dir, network)
    texts, _ = answer(network, weights, examples, task, batch_size)
    answered = [
        {**row, "prediction": text} | ({"rationale": rationale} if fiat else {})
        for row, text, rationale in zip(rows, texts, rationales, strict=True)
    ]
    if is_first():
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in answered))
    return len(rows)
