"""transformers and peft doing the work of `fiat train` and `fiat eval` on AfriQA.

    pip install -e '.[peers]'
    python benchmarks/peft_afriqa.py --base T5_FOLDER --data AFRIQA_FOLDER --variant fiat --tune lora

Both sides read the same token ids in the same order, from fiat_jax.data. The tokens of a second are those of
inputs and targets that are not padding.
"""

import argparse
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import T5ForConditionalGeneration, get_linear_schedule_with_warmup

from fiat_jax import adapters
from fiat_jax.data import (
    Examples,
    Jsonl,
    Task,
    Template,
    TrainBatches,
    decode_batch,
    eval_batches,
    load_examples,
)
from fiat_jax.data.metrics.places import within
from fiat_jax.study.answering import Graded

BATCH_SIZE, EPOCHS = 16, 3
LEARNING_RATES = {"full": 3e-4, "lora": 1e-3}

Model = T5ForConditionalGeneration | PeftModel


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, required=True, help="Hugging Face folder of a T5")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of LANGUAGE.{train,test,rationales}.jsonl"
    )
    parser.add_argument("--variant", choices=("plain", "instruction", "fiat"), default="plain")
    parser.add_argument("--tune", choices=("full", "lora"), default="full")
    parser.add_argument("--learning_rate", type=float, help="default: 3e-4 for full, 1e-3 for lora")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="time so many steps and batches of answers only")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    task = afriqa(args.data, args.base)
    model = load_model(args.base, args.tune, args.seed)
    learning_rate = args.learning_rate or LEARNING_RATES[args.tune]
    train(model, load_examples(task, args.variant, "train"), learning_rate, args.seed, args.steps)
    evaluate(model, task, load_examples(task, args.variant, "test"), args.steps)


def afriqa(data: Path, base: Path) -> Task:
    """AfriQA; the longest target has 71 tokens."""
    return Task(
        name="afriqa",
        source=Jsonl(train=f"{data}/{{language}}.train.jsonl", test=f"{data}/{{language}}.test.jsonl"),
        template=Template(),
        vocabulary=str(base),
        rationales=f"{data}/{{language}}.rationales.jsonl",
        languages=("bem", "hau", "ibo", "zul"),
        inputs_length=400,
        targets_length=96,
    )


def load_model(base: Path, tune: str, seed: int) -> Model:
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = T5ForConditionalGeneration.from_pretrained(base, dtype=torch.float32).to(device)
    if tune == "full":
        return model
    ours = adapters.LoRA()
    model = get_peft_model(
        model,
        LoraConfig(
            task_type="SEQ_2_SEQ_LM",
            r=ours.rank,
            lora_alpha=ours.alpha,
            lora_dropout=ours.dropout,
            target_modules="all-linear",
        ),
    )
    model.print_trainable_parameters()
    return model


def train(model: Model, examples: Examples, learning_rate: float, seed: int, stop: int | None) -> None:
    """AdamW without weight decay, warm-up over a tenth of the steps, linear decay to 0, norm clipped at 1."""
    batches = TrainBatches(examples, BATCH_SIZE, seed)
    total = round(EPOCHS * batches.steps_per_epoch)
    last = min(stop or total, total)
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learned, learning_rate, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, total // 10, total)
    model.train()
    tokens, start = 0, time.perf_counter()
    for step in range(last):
        rows = batches.rows(step)
        inputs, targets = (
            pad([ids[row] for row in rows], model) for ids in (examples.inputs, examples.targets)
        )
        with torch.autocast(model.device.type, torch.bfloat16):
            loss = model(
                input_ids=inputs,
                attention_mask=(inputs != 0).long(),
                labels=targets.masked_fill(targets == 0, -100),
            ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        tokens += int((inputs != 0).sum() + (targets != 0).sum())
        if step % 10 == 0 or step + 1 == last:
            seconds = time.perf_counter() - start
            print(
                f"step {step + 1}/{total}  loss {loss.item():.4f}  {tokens / seconds:,.0f} tokens/s",
                flush=True,
            )
    print(f"trained {last} steps in {time.perf_counter() - start:.1f} s")


def evaluate(model: Model, task: Task, examples: Examples, stop: int | None) -> None:
    """Greedy answers, the adapter merged."""
    if isinstance(model, PeftModel):
        model = model.merge_and_unload()
    model.eval()
    order: list[int] = []
    answers: list[np.ndarray] = []
    start = time.perf_counter()
    for number, batch in enumerate(eval_batches(examples, BATCH_SIZE)):
        if number == stop:
            break
        rows = batch.rows[batch.rows >= 0].tolist()
        inputs = pad([examples.inputs[row] for row in rows], model)
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16):
            found = model.generate(
                inputs,
                attention_mask=(inputs != 0).long(),
                do_sample=False,
                num_beams=1,
                max_new_tokens=task.targets_length,
            )
        order += rows
        answers += list(found[:, 1:].cpu().numpy())
    print(f"answered {len(order)} of {len(examples)} examples in {time.perf_counter() - start:.1f} s")
    by_row = dict(zip(order, decode_batch(task.tokens(), answers), strict=True))
    scores = Graded(task, examples, [by_row[row] for row in range(len(examples))]).scores()
    for language in (*task.languages, ""):
        f1, em = (scores[within(language, name)] for name in ("f1", "em"))
        print(f"{language or 'mean':<5} F1 {f1:5.1f}  EM {em:5.1f}")


def pad(rows: Sequence[np.ndarray], model: Model) -> torch.Tensor:
    """Token ids [B, longest], a multiple of 8, on the device of the model."""
    longest = -(-max(map(len, rows)) // 8) * 8
    padded = np.zeros((len(rows), longest), np.int64)
    for slot, row in zip(padded, rows, strict=True):
        slot[: len(row)] = row
    return torch.from_numpy(padded).to(model.device)


if __name__ == "__main__":
    main()
