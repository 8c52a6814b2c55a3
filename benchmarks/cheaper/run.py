"""Trains and answers what `prepare.py` has made, on one device, with neither seqio nor TensorFlow nor gin.

    python -m benchmarks.cheaper.run --data DIR --out ANSWERS.jsonl [--arms fiat keep] [--seconds 540]

LoRA of rank 16 on every linear layer, AdamW at 1e-3 with warm-up and linear decay, float32, no dropout: the
step of `fiat train`, all steps in one program, all batches on the device. Then greedy answers from merged
weights. What ANSWERS.jsonl holds is not done again; seed after seed, so that what is stopped is whole seeds.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from benchmarks.packing import load_base, padded
from fiat_jax.adapters import LoRA, merge
from fiat_jax.decoding.generate import answers, begin, decode
from fiat_jax.decoding.search import GREEDY
from fiat_jax.models import T5
from fiat_jax.models.layout import unrolled
from fiat_jax.parallel import RULES, Mesh
from fiat_jax.training import AdamW, create_state, train_step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="what prepare.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="a file of answers, added to")
    parser.add_argument("--steps", type=int, help="fewer than there are, to try it")
    parser.add_argument("--rows", type=int, help="fewer test rows than there are, to try it")
    parser.add_argument("--seeds", type=int, default=5, help="how many (5)")
    parser.add_argument("--arms", nargs="*", help="by default all")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start nothing after so many")
    args = parser.parse_args()
    begun = time.monotonic()
    jax.config.update("jax_default_matmul_precision", "float32")
    about = json.loads((args.data / "about.json").read_text(encoding="utf-8"))
    bench = Bench(args.data, args.steps or about["steps"], about["answer"], args.rows)
    done = set()
    if args.out.exists():
        done = {(row["arm"], row["seed"]) for row in map(json.loads, args.out.read_text().splitlines())}
    with jax.set_mesh(bench.mesh), args.out.open("a", encoding="utf-8") as file:
        for seed in range(args.seeds):
            for arm in args.arms or about["arms"]:
                if (arm, seed) in done or time.monotonic() - begun > args.seconds:
                    continue
                started = time.monotonic()
                weights, losses = bench.learn(arm, seed)
                learnt = time.monotonic()
                answered = {name: bench.answer(weights, name) for name in about["arms"][arm]}
                row = {
                    "arm": arm,
                    "seed": seed,
                    "losses": [round(float(loss), 4) for loss in losses],
                    "train_s": round(learnt - started, 2),
                    "answer_s": round(time.monotonic() - learnt, 2),
                    "device": jax.devices()[0].device_kind,
                    "answers": answered,
                }
                file.write(json.dumps(row) + "\n")
                file.flush()
                print(f"{time.monotonic() - begun:6.1f} s  {arm} {seed}: loss {losses[-10:].mean():.3f}, "
                      f"{row['train_s']} s learning, {row['answer_s']} s answering", flush=True)  # fmt: skip


class Bench:
    """The model, the tokens and the programs, on the device.

    Args:
      folder: what prepare.py wrote.
      steps: how many to learn for.
      answer: the most tokens of an answer.
      rows: how many rows of a split to answer; None for all.
    """

    def __init__(self, folder: Path, steps: int, answer: int, rows: int | None) -> None:
        config, params = load_base(folder)
        self.mesh, self.steps, self.most = Mesh().build(jax.devices()[:1]), steps, rows
        self.length = answer
        self.adapter = LoRA()
        self.model = T5(config, self.adapter)
        self.base = {"params": jax.device_put(unflatten_dict(params, sep="/"))}
        with np.load(folder / "data.npz") as data:
            self.data = {name: data[name] for name in data.files}
        self.inputs = jnp.asarray(padded(self.data, "inputs"))
        self.targets = jnp.asarray(padded(self.data, "targets"))
        self.rows = min(max(len(v) for k, v in self.data.items() if k.startswith("test/")), rows or 10**9)
        self.optimizer = AdamW(1e-3)
        self._start = jax.jit(partial(_start, self.model))
        self._learn = jax.jit(partial(_learn, self.model.clone(train=True), self.optimizer))
        self._merge = jax.jit(partial(_merged, self.adapter, config.num_decoder_layers))
        answering = self.model.clone(adapter=None, unrolled=True)
        self._answer = jax.jit(partial(_answer, answering, answer))

    def learn(self, arm: str, seed: int) -> tuple[Any, np.ndarray]:
        """Tunes an adapter; merged weights laid out for decoding, and the loss of each step."""
        inputs, targets, weights = (
            self.data[f"train/{arm}/{seed}/{kind}"][: self.steps] for kind in ("inputs", "targets", "weights")
        )
        answers = self.data["targets/lengths"][targets].max() <= self.length
        table = self.targets[:, : self.length] if answers else self.targets  # two widths, two programs
        learned = self._start(jax.random.key(seed), self.base)
        batches = {"inputs": inputs, "targets": targets, "weights": weights}
        learned, losses = self._learn(learned, self.base, self.inputs, table, batches, jax.random.key(seed))
        return self._merge(self.base["params"], learned["adapter"]), np.asarray(losses)

    def answer(self, variables: Any, name: str) -> dict[str, Any]:
        """Token ids of the answers to a condition, and their log-probabilities with the end."""
        places = self.data[name][: self.most]
        inputs = self.inputs[np.pad(places, (0, self.rows - len(places)))]
        inputs = jnp.where(jnp.arange(self.rows)[:, None] < len(places), inputs, 0)
        tokens, scores = jax.device_get(self._answer(variables, inputs))
        ids = [[int(one) for one in row if one > 1] for row in tokens[: len(places), 0]]
        return {"ids": ids, "scores": [round(float(one), 4) for one in scores[: len(places), 0]]}


def _start(model: T5, key: Any, base: Any) -> Any:
    tokens = jnp.ones((1, 1), jnp.int32)
    _, started = model.apply(base, tokens, tokens, rngs={"adapter": key}, mutable="adapter")
    return {"adapter": nn.unbox(started["adapter"])}


def _learn(
    model: T5, optimizer: Any, learned: Any, base: Any, inputs: Any, targets: Any, batches: Any, key: Any
) -> tuple[Any, Any]:
    """All steps; the rows of each batch are looked up where they lie."""

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        written = targets[batch["targets"]]
        weights = (written != model.config.pad_id) * batch["weights"][:, None]
        looked_up = {"inputs": inputs[batch["inputs"]], "targets": written, "weights": weights}
        state, metrics = train_step(state, base, looked_up, key)
        return state, metrics["loss"]

    with nn.logical_axis_rules(RULES):
        state, losses = jax.lax.scan(
            step, create_state(model, optimizer, learned, len(batches["weights"])), batches
        )
    return state.learned, losses


def _merged(adapter: LoRA, layers: int, base: Any, learned: Any) -> Any:
    return unrolled({"params": merge(base, learned, adapter)}, layers)


def _answer(model: T5, length: int, variables: Any, inputs: Any) -> tuple[Any, Any]:
    rows = begin(model, GREEDY, length, variables, inputs, jnp.zeros(inputs.shape[0], jnp.int32))
    rows, _, _ = decode(model, GREEDY, length, variables, rows, jnp.int32(0), jnp.int32(inputs.shape[0]))
    written = answers(GREEDY, rows)
    return written.tokens, written.scores


if __name__ == "__main__":
    main()
