"""The miniature world as files: data, the two models, and a gin file that names them."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from fiat_jax.miniature.language import LANGUAGES
from fiat_jax.miniature.world import LENGTH, PROMPT_LENGTH, REASON, TEMPLATE, WRITTEN, Row, splits

MODELS = Path(__file__).parent / "models"
"""The models as they come with the package; `pretrain` makes them."""

NAMES = ("reasoner", "tuned")

_GIN = """# A made-up world: questions in five invented languages, short English passages, and two tiny T5s.
Task.name = 'miniature'
Task.languages = {languages}
Task.source = @Jsonl()
Task.rationales = '{folder}/rationales.sqlite'
Task.vocabulary = '{folder}/tuned'
Task.holdout = 20
Task.inputs_length = {length}
Task.targets_length = 4
Task.prompt = @Prompt()
Jsonl.train = '{folder}/data/train.jsonl'
Jsonl.test = '{folder}/data/test.jsonl'
Template.input = '{input}'
Template.instruction = '{instruction}'
Base.path = '{folder}/tuned'
Base.dtype = 'float32'

# The reasoner, and what it is asked.
annotate.client = @T5Reasoner()
annotate.concurrency = 64
annotate.store = '{folder}/rationales.sqlite'
predict.client = @T5Reasoner()
predict.rationales = '{folder}/rationales.sqlite'
Prompt.input = '{input}'
Prompt.instruction = '{reason}'
T5Reasoner.base = @reasoner/Base()
T5Reasoner.batch_size = 64
T5Reasoner.inputs_length = {prompt_length}
T5Reasoner.max_tokens = {written}
reasoner/Base.path = '{folder}/reasoner'
reasoner/Base.dtype = 'float32'

# What is compared.
Experiment.adapter = @LoRA()
Sweep.paradigms = ('icl', 'zero_shot', 'finetune', 'fiat')
Sweep.sizes = (50, 150, 450)
Sweep.seeds = (0, 1, 2)
Sweep.balanced = True
Sweep.learning_rates = {{'adapter': (3e-3,), 'base': (1e-3,)}}
Tuning.optimizer = @AdamW()
Tuning.steps = 120
Tuning.eval_every = 40
Tuning.eval_batch_size = 64
Tuning.save_every = 0
"""


def make(folder: Path) -> None:
    """Writes the world into a folder.

    - data/: train.jsonl, test.jsonl, and new.jsonl, whose rows have no answer;
    - reasoner/, tuned/: the models;
    - miniature.gin: the task, the base, and how the reasoner is asked.

    Args:
      folder: made when absent.
    """
    for name, rows in splits().items():
        _write_rows(folder / "data" / f"{name}.jsonl", rows)
    for name in NAMES:
        shutil.copytree(MODELS / name, folder / name, dirs_exist_ok=True)
    (folder / "miniature.gin").write_text(_gin(folder), encoding="utf-8")


def _write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Writes JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _gin(folder: Path) -> str:
    return _GIN.format(
        folder=folder.as_posix(),
        languages=list(LANGUAGES),
        length=LENGTH,
        prompt_length=PROMPT_LENGTH,
        written=WRITTEN,
        input=TEMPLATE.input,
        instruction=TEMPLATE.instruction,
        reason=REASON,
    )
