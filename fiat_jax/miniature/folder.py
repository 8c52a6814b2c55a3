"""The miniature world as files: data, a pretrained model, and a gin file that names them."""

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

from fiat_jax.data.templates import Filling, Template
from fiat_jax.miniature.language import LANGUAGES
from fiat_jax.miniature.model import LENGTH, make_model, pretrain, write_vocabulary
from fiat_jax.miniature.reasoner import rationale
from fiat_jax.miniature.world import Row, copying, splits

TEMPLATE = Template(input="question: {question} context: {context}", instruction="Answer from the context.")
_GIN = """# A made-up world: questions in two invented languages, short English passages, and a tiny T5.
Task.name = 'miniature'
Task.languages = {languages}
Task.source = @Jsonl()
Task.rationales = '{folder}/rationales.sqlite'
Task.vocabulary = '{folder}/model'
Task.holdout = 20
Task.inputs_length = {length}
Task.targets_length = 8
Jsonl.train = '{folder}/data/train.jsonl'
Jsonl.test = '{folder}/data/test.jsonl'
Template.input = '{input}'
Template.instruction = '{instruction}'
Base.path = '{folder}/model'
Base.dtype = 'float32'
"""


def make(folder: Path, steps: int) -> None:
    """Writes the world into a folder.

    - data/: train.jsonl, test.jsonl, new.jsonl (without answers), rationales.jsonl and copying.jsonl;
    - model/: the T5, pretrained on copying.jsonl; pretraining/: the run folder of that;
    - miniature.gin: the task and the base.

    Args:
      folder: made when absent.
      steps: of pretraining.
    """
    rows, marked = splits(), list(copying(3000))
    every = list(itertools.chain(*rows.values()))
    rationales = [{"id": row["id"], "rationale": rationale(row["question"], row["context"])} for row in every]
    for name, some in (rows | {"rationales": rationales, "copying": marked}).items():
        _write(folder / "data" / f"{name}.jsonl", some)
    pairs = zip(every, rationales, strict=True)
    fillings = [Filling(row["id"], row["language"], row, thought["rationale"]) for row, thought in pairs]
    texts = [TEMPLATE.compose("fiat", filling) for filling in fillings]
    size = write_vocabulary(folder / "model", [*texts, *(row["text"] for row in marked)])
    make_model(folder / "model", size)
    (folder / "miniature.gin").write_text(_gin(folder), encoding="utf-8")
    pretrain(folder / "model", folder / "data" / "copying.jsonl", folder / "pretraining", steps)


def _gin(folder: Path) -> str:
    return _GIN.format(
        folder=folder.as_posix(),
        languages=list(LANGUAGES),
        length=LENGTH,
        input=TEMPLATE.input,
        instruction=TEMPLATE.instruction,
    )


def _write(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
