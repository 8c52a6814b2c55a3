"""A tuned model asked, and its answers scored."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from fiat_jax.data.batches import eval_batches
from fiat_jax.data.metrics import squad_by_language
from fiat_jax.data.pipeline import Examples
from fiat_jax.data.tasks import Task
from fiat_jax.data.vocabularies import decode_batch
from fiat_jax.decoding import greedy
from fiat_jax.parallel import fetch, own_rows, put_batch
from fiat_jax.study.experiment import Network
from fiat_jax.training import LossSums, eval_step
from fiat_jax.typing import Variables


def answer(
    network: Network, weights: Variables, examples: Examples, task: Task, batch_size: int
) -> tuple[list[str], dict[str, float]]:
    """Answers every example once, and takes the likelihood of its target; each process gets all.

    Args:
      network: the model and its mesh.
      weights: for `network.answering`, as `Network.merged` gives them.
      examples: tokenised inputs.
      task: its vocabulary and the most tokens of an answer.
      batch_size: rows at a time; changes no answer.

    Returns:
      Answers in the order of the examples; mean loss (nats a target token) and accuracy of target tokens.
    """
    model, tokens = network.answering, task.tokens()
    texts = [""] * len(examples)
    totals = []
    own = own_rows(batch_size, network.mesh)
    with jax.set_mesh(network.mesh):
        for batch, rows in eval_batches(examples, batch_size, own=own):
            placed = put_batch(batch, network.mesh)
            totals.append(eval_step(model, weights, placed))
            ids = fetch(greedy(model, weights, placed["inputs"], task.targets_length))
            for row, text in zip(rows, decode_batch(tokens, ids), strict=True):
                if row >= 0:
                    texts[row] = text
    return texts, _means(totals)


def _means(totals: Sequence[LossSums]) -> dict[str, float]:
    sums = sum(jax.device_get(totals[1:]), start=jax.device_get(totals[0]))
    return {"loss": float(sums.loss / sums.weight), "accuracy": float(sums.correct / sums.weight)}


def scores(examples: Examples, texts: Sequence[str], means: dict[str, float]) -> dict[str, float]:
    """One flat table of metrics: the means, 'f1' and 'em' (means over languages), 'hau_f1' and so on."""
    by_language = squad_by_language(examples.languages, examples.answers, texts)
    flat = dict(means) | by_language.pop("mean")
    for language, values in by_language.items():
        flat |= {f"{language}_{name}": value for name, value in values.items()}
    return flat


def write_predictions(
    path: Path, examples: Examples, texts: Sequence[str], fields: Sequence[Mapping[str, Any]]
) -> None:
    """Writes one JSON line an example: id, language, prediction, answers, whether its passage was cut.

    Args:
      path: of the file.
      examples: what was answered.
      texts: the answers.
      fields: what else an example's line says.
    """
    rows: list[dict[str, Any]] = [
        {"id": id, "language": language, "prediction": text, "answers": list(answers), "cut": cut, **more}
        for id, language, text, answers, cut, more in zip(
            examples.ids, examples.languages, texts, examples.answers, examples.cut, fields, strict=True
        )
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
