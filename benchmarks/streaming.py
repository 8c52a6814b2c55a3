"""Rows that make room for others as soon as they are done, against whole batches, on real inputs.

    python benchmarks/streaming.py --base T5_FOLDER --data AFRIQA_FOLDER [--rounds 3]

Questions of AfriQA with their passages, greedy, at most 64 tokens an answer, 16 rows at a time, the
longest inputs first. Both sides answer all of them once unmeasured, then in turns. A whole batch goes on
until its last row is done.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer

from fiat_jax.checkpoints import huggingface
from fiat_jax.decoding import Decoder, Request, generate
from fiat_jax.models import T5, laid_out
from fiat_jax.parallel import Mesh

ROWS, TOKENS, WIDTHS = 16, 64, (128, 256, 400)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, required=True, help="folder of a T5 as transformers has it")
    parser.add_argument("--data", type=Path, required=True, help="folder of AfriQA's rows")
    parser.add_argument("--count", type=int, default=400, help="questions, as many of each language (400)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side answers all (3)")
    flags = parser.parse_args()
    inputs = sorted(questions(flags.base, flags.data, flags.count // 4), key=len, reverse=True)
    pretrained = huggingface.open_model(flags.base, dtype="float32")
    model, params = T5(pretrained.config), jax.tree.map(jnp.asarray, pretrained.params())
    decoder = Decoder(model, {"params": params}, Mesh().build(), TOKENS, batch_size=ROWS, buckets=WIDTHS)
    whole, variables = laid_out(model, {"params": params})

    def streamed() -> list[int]:
        waiting = list(enumerate(map(Request, inputs)))[::-1]

        def take(count: int, idle: bool) -> list[tuple[int, Request]] | None:
            return [waiting.pop() for _ in range(min(count, len(waiting)))] or None

        found = dict(decoder.run(take))
        return [len(found[at].tokens[0]) for at in range(len(inputs))]

    def in_batches() -> list[int]:
        lengths = []
        for start in range(0, len(inputs), ROWS):
            batch = inputs[start : start + ROWS]
            width = next(size for size in WIDTHS if size >= len(batch[0]))
            padded = np.zeros((ROWS, width), np.int32)
            for row, ids in zip(padded, batch, strict=False):
                row[: len(ids)] = ids
            for ids in np.asarray(generate(whole, variables, padded, TOKENS))[: len(batch)]:
                lengths.append(int((np.cumsum(ids == 1) == 0).sum()))
        return lengths

    sides = {"streamed": streamed, "whole batches": in_batches}
    lengths = {name: side() for name, side in sides.items()}
    assert lengths["streamed"] == lengths["whole batches"]
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(flags.rounds):
        for name, side in sides.items():
            begun = time.monotonic()
            side()
            seconds[name].append(time.monotonic() - begun)
    written = np.array(lengths["streamed"])
    spread = ", ".join(f"{share}% {np.percentile(written, share):.0f}" for share in (50, 90, 99, 100))
    print(f"{len(inputs)} answers, {written.sum()} tokens; lengths: {spread}; {decoder.programs} programs")
    for name, each in seconds.items():
        median = statistics.median(each)
        print(f"{name}: {len(inputs) / median:.1f} rows/s, {min(each):.1f} to {max(each):.1f} s")
    ratio = statistics.median(seconds["whole batches"]) / statistics.median(seconds["streamed"])
    print(f"streamed is {ratio:.2f} times as fast")


def questions(base: Path, data: Path, each: int) -> list[np.ndarray]:
    """Token ids of AfriQA's test questions and passages, cut to the widest."""
    tokens = Tokenizer.from_file(str(base / "tokenizer.json"))
    rows = [
        json.loads(line)
        for language in ("bem", "hau", "ibo", "zul")
        for line in (data / f"{language}.test.jsonl").read_text(encoding="utf-8").splitlines()[:each]
    ]
    texts = [f"question: {row['question']} title: {row['title']} context: {row['context']}" for row in rows]
    ids = (tokens.encode(text, add_special_tokens=False).ids[: WIDTHS[-1] - 1] for text in texts)
    return [np.array([*row, 1], np.int32) for row in ids]


if __name__ == "__main__":
    main()
