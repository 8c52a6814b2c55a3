"""Tunes and answers what `prepare.py` has packed, on one device, with neither seqio nor TensorFlow nor gin.

    python -m benchmarks.study.run --data runs/afriqa_packed --out runs/afriqa_rows.jsonl --seconds 400

The step of `fiat compare` on its batches, a validation's steps in one program and their rows on the device;
greedy answers from merged weights. Validation chooses the step, and of the first seed the learning rate. The
runs go in the order of the sweep, and what ROWS.jsonl holds is not done again: what is stopped early is whole
seeds of the smaller sizes, and goes on with the same command.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.study.bench import Bench, Learned


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="what prepare.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="a file of finished cells, added to")
    parser.add_argument("--seconds", type=float, default=math.inf, help="start no run after so many")
    parser.add_argument("--piece", type=int, help="fewer steps between validations, to try it")
    parser.add_argument("--rows", type=int, help="fewer examples to answer, to try it")
    parser.add_argument("--cells", nargs="*", help="only the runs of these, to try it")
    args = parser.parse_args()
    began = time.monotonic()
    about = json.loads((args.data / "about.json").read_text(encoding="utf-8"))
    bench = Bench(args.data, about, args.piece, args.rows)
    print(f"{time.monotonic() - began:6.1f} s  read, compiling", flush=True)
    compiled = "  ".join(f"{name} {seconds:.0f} s" for name, seconds in bench.ready().items())
    print(f"{time.monotonic() - began:6.1f} s  compiled: {compiled}", flush=True)
    done = _read(args.out)
    with args.out.open("a", encoding="utf-8") as file:
        for run in about["runs"]:
            wanted = args.cells is None or not set(run["cells"]).isdisjoint(args.cells)
            if not wanted or set(run["cells"]) <= set(done):
                continue
            if time.monotonic() - began > args.seconds:
                print("the time is up; the same command goes on")
                break
            rows, line = finish(bench, run, done)
            for row in rows:
                file.write(json.dumps(row) + "\n")
            file.flush()
            done |= {row["cell"]: row for row in rows if "failed" not in row}
            print(f"{time.monotonic() - began:6.1f} s  {line}", flush=True)


def _read(path: Path) -> dict[str, Any]:
    """The rows of finished cells by their names; one that has failed is tried again."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # killed while it wrote
        path.write_text(whole, encoding="utf-8")
    return {row["cell"]: row for row in map(json.loads, whole.splitlines()) if "failed" not in row}


def finish(bench: Bench, run: dict[str, Any], done: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The rows of a run's cells, and a line that says how it went."""
    name = next(iter(run["cells"]))
    if "learns" not in run:
        return answered(bench, run, bench.untuned(), {}), name
    earlier = [done[one] for one in run["choosers"] if one in done]
    if not earlier and run["seed"] != bench.first_seed:
        return failed(run, "the seed that chooses the learning rate has failed"), f"{name} has no rate"
    rates = [earlier[0]["learning_rate"]] if earlier else run["rates"]
    tried = {rate: bench.learn(run, rate) for rate in rates}
    scores = {rate: learned.best for rate, learned in tried.items() if learned.finite}
    if not scores:
        return failed(run, "the loss is not finite at any learning rate"), f"{name} diverged"
    rate = max(scores, key=lambda one: scores[one][0])
    score, at = scores[rate]
    learned = tried[rate]
    fields = {
        "validation": score,
        "learning_rate": rate,
        "step": learned.steps[at],
        "steps": learned.steps[-1],
        "tried": earlier[0]["tried"] if earlier else {f"{one:g}": best for one, (best, _) in scores.items()},
        "learned": learned.weights,
        "train_tokens": learned.tokens,
        "train_seconds": round(learned.seconds, 3),
    }
    rows = answered(bench, run, learned.params[at], fields)
    return rows, told(name, rates, tried, rate, rows)


def answered(bench: Bench, run: dict[str, Any], params: Any, fields: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a run's cells, answered with its weights."""
    rows = []
    for cell, reads in run["cells"].items():
        began = time.monotonic()
        answers = bench.answer(params, reads)
        seconds = round(time.monotonic() - began, 3)
        rows.append(
            {
                "cell": cell,
                **fields,
                "answer_seconds": seconds,
                "device": bench.device,
                "versions": bench.versions,
                "ids": answers,
            }
        )
    return rows


def failed(run: dict[str, Any], sentence: str) -> list[dict[str, Any]]:
    """Rows that say why there are no answers."""
    return [{"cell": cell, "failed": sentence} for cell in run["cells"]]


def told(
    name: str, rates: Sequence[float], tried: dict[float, Learned], rate: float, rows: list[dict[str, Any]]
) -> str:
    """How a run went, in a line."""
    shown = "  ".join(
        f"{one:g}: " + "/".join(f"{score:.1f}" for score in tried[one].scores)
        + f" loss {tried[one].loss:.3f} {tried[one].seconds:.1f} s"
        for one in rates
    )  # fmt: skip
    seconds = sum(row["answer_seconds"] for row in rows)
    return f"{name}: {shown}; takes {rate:g}, test answered in {seconds:.1f} s"


if __name__ == "__main__":
    main()
