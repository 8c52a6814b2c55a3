"""What LoRA on large models takes on TPU slices, by `fiat plan`: the table of docs/plan.md.

    pip install 'fiat-jax[plan]'
    python benchmarks/plan_table.py --out OUT_DIR [MODEL/SLICE ...]
    python benchmarks/plan_table.py --out OUT_DIR --table

Inputs of 1024 tokens, targets of 128, LoRA of rank 16 on every linear layer, AdamW, bfloat16, no dropout.
Nothing is downloaded or run; a program compiles in 2 to 10 minutes. What is done is passed over, so the same
line goes on after it was stopped.
"""

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any, NamedTuple

from fiat_jax.adapters import LoRA
from fiat_jax.models import T5Config
from fiat_jax.models.config import Quantise, Remat
from fiat_jax.parallel import Mesh
from fiat_jax.parallel.chips import GIB, topology
from fiat_jax.parallel.plan import TooLarge
from fiat_jax.study.planning import Work, plan_step, useful_flops

INPUTS, TARGETS = 1024, 128
MT5 = dict(vocab_size=250112, d_kv=64, num_heads=12, num_encoder_layers=24, num_decoder_layers=24)
MODELS: dict[str, dict[str, Any]] = {
    "mt5-base": MT5 | dict(d_model=768, d_ff=2048, num_encoder_layers=12, num_decoder_layers=12),
    "mt5-xl": MT5 | dict(d_model=2048, d_ff=5120, num_heads=32),
    "mt5-xxl": MT5 | dict(d_model=4096, d_ff=10240, num_heads=64),
    "flan-ul2": dict(
        vocab_size=32128,
        d_model=4096,
        d_kv=256,
        d_ff=16384,
        num_heads=16,
        num_encoder_layers=32,
        num_decoder_layers=32,
        activation="silu",
    ),
}


class Setting(NamedTuple):
    """How a model runs on a slice: the mesh, examples a chip, and what is computed again or in parts."""

    data: int
    fsdp: int
    rows: int
    remat: Remat
    parts: int
    quantise: Quantise = "none"


SETTINGS: dict[str, Setting] = {
    "mt5-base/v5e:4x4": Setting(16, 1, 16, "attention", 24),
    "mt5-xl/v5e:4x4": Setting(1, 16, 14, "attention", 64, "int8"),
    "mt5-xxl/v5e:4x4": Setting(1, 16, 16, "full", 128),
    "flan-ul2/v5e:4x4": Setting(1, 16, 16, "full", 32),
    "mt5-base/v5e:16x16": Setting(256, 1, 16, "attention", 24),
    "mt5-xl/v5e:16x16": Setting(16, 16, 14, "attention", 64, "int8"),
    "mt5-xxl/v5e:16x16": Setting(16, 16, 16, "full", 128),
    "flan-ul2/v5e:16x16": Setting(16, 16, 16, "full", 32),
    "mt5-base/v5p:2x2x4": Setting(16, 1, 32, "attention", 1),
    "mt5-xl/v5p:2x2x4": Setting(1, 16, 32, "attention", 1),
    "mt5-xxl/v5p:2x2x4": Setting(1, 16, 16, "attention", 1),
    "flan-ul2/v5p:2x2x4": Setting(1, 16, 16, "attention", 1),
    "mt5-base/v5p:4x4x8": Setting(128, 1, 32, "attention", 1),
    "mt5-xl/v5p:4x4x8": Setting(8, 16, 32, "attention", 1),
    "mt5-xxl/v5p:4x4x8": Setting(8, 16, 16, "attention", 1),
    "flan-ul2/v5p:4x4x8": Setting(8, 16, 16, "attention", 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plans", nargs="*", metavar="MODEL/SLICE", help=f"of {', '.join(SETTINGS)}")
    parser.add_argument("--out", type=Path, required=True, help="folder for one JSON file a plan")
    parser.add_argument("--table", action="store_true", help="print what there is")
    flags = parser.parse_args()
    logging.getLogger("jax").setLevel(logging.ERROR)
    if flags.table:
        print(table(flags.out))
        return
    flags.out.mkdir(parents=True, exist_ok=True)
    for name in flags.plans or SETTINGS:
        file = flags.out / f"{name.replace('/', '_').replace(':', '_')}.json"
        if not file.exists():
            file.write_text(json.dumps(plan(name), indent=2) + "\n")


def work_of(name: str) -> Work:
    """The work of a row of the table."""
    at = SETTINGS[name]
    how = dict(dropout=0.0, remat=at.remat, attention_parts=at.parts, quantise=at.quantise)
    config = T5Config(**(MODELS[name.split("/")[0]] | how))
    return Work(config, LoRA(), Mesh(at.data, at.fsdp), at.rows * at.data * at.fsdp, INPUTS, TARGETS)


def plan(name: str) -> dict[str, Any]:
    """One plan, as plain values."""
    work, begun = work_of(name), time.monotonic()
    useful = useful_flops(work)
    try:
        found = plan_step(work, topology(name.split("/")[1])).as_dict(useful)
    except TooLarge as error:
        found = {"needed": error.needed}
    seconds = time.monotonic() - begun
    print(f"{name}: {seconds:.0f} s", flush=True)
    return {"name": name, "batch_size": work.batch_size, "useful": useful, "compiled_s": seconds} | found


def table(folder: Path) -> str:
    """Markdown, in the order of SETTINGS."""
    files = {json.loads(path.read_text())["name"]: path for path in folder.glob("*.json")}
    names = ["model", "slice", "data x fsdp", "batch", "remat, parts, base", "GiB", "TFLOP", "memory GB"]
    names += ["network GB", "s products", "s memory", "s network", "s in turn", "s at once", "useful"]
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for name, at in SETTINGS.items():
        if name not in files:
            continue
        row, (model, where) = json.loads(files[name].read_text()), name.split("/")
        base = "bfloat16" if at.quantise == "none" else at.quantise
        cells = [model, where, f"{at.data} x {at.fsdp}", f"{row['batch_size']}"]
        cells.append(f"{at.remat}, {at.parts}, {base}")
        if "flops" not in row:
            lines.append(f"| {' | '.join(cells)} | does not fit |")
            continue
        network = sum(one["bytes"] for one in row["collectives"])
        cells += [f"{row['bytes'] / GIB:.1f}", f"{row['flops'] / 1e12:.1f}"]
        cells += [f"{row['traffic'] / 1e9:.0f}", f"{network / 1e9:.1f}"]
        times = ("compute_s", "memory_s", "network_s", "seconds_apart", "seconds_together")
        cells += [f"{row[time]:.3f}" for time in times] + [f"{row['utilisation']:.0%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
