"""Makes the results of `fiat compare` of what `run.py` has answered, in the folder of the comparison.

    python -m benchmarks.study.collect --config benchmarks/study/afriqa.gin --bind "MODEL='T5_FOLDER'" \\
      --run_dir runs/afriqa_study --data runs/afriqa_packed --rows runs/afriqa_rows.jsonl

The reasoner's own answers are scored here too. `fiat compare` with the same settings and folder then finds
these cells done, and its report has them.
"""

import json
from dataclasses import replace
from pathlib import Path

from benchmarks.study.setting import arguments, setups_of
from fiat_jax.data import load_examples
from fiat_jax.study.comparing.answering import Answered, reasoned, result_of
from fiat_jax.study.comparing.report import write_report
from fiat_jax.study.comparing.results import write_failure, write_result, write_study
from fiat_jax.study.comparing.study import described
from fiat_jax.study.comparing.sweep import Cell


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="what prepare.py wrote")
    parser.add_argument("--rows", type=Path, required=True, help="what run.py wrote")
    args = parser.parse_args()
    setups, text = setups_of(args)
    task, sweep = setups.experiment.task, setups.sweep
    test = load_examples(setups.task_of(setups.cells[0]), "plain", "test")
    about = json.loads((args.data / "about.json").read_text(encoding="utf-8"))
    if about["splits"]["test"]["ids"] != list(test.ids):
        raise SystemExit(f"{args.data}: expected the test examples of {args.config}, found others.")
    lines = args.rows.read_text(encoding="utf-8").splitlines()
    rows = {row["cell"]: row for row in map(json.loads, lines)}
    study, done = described(setups, text), 0
    for cell in setups.cells:
        if cell.paradigm.answers == "reasoner":
            answered = reasoned(setups.task_of(cell), test, sweep.marker)
            write_result(args.run_dir, cell.name, result_of(task, test, cell, answered))
        elif cell.name in rows and "failed" in rows[cell.name]:
            write_failure(args.run_dir, cell.name, rows[cell.name]["failed"])
        elif cell.name in rows:
            fields = rows[cell.name]
            answered = Answered(
                [task.read(task.tokens().decode(ids)) for ids in fields.pop("ids")], asked(cell)
            )
            del fields["cell"]
            study = replace(study, versions={**study.versions, **fields.pop("versions")})
            write_result(args.run_dir, cell.name, result_of(task, test, cell, answered, **fields))
        else:
            continue
        done += 1
    write_study(args.run_dir, study)
    write_report(args.run_dir)
    print(f"{args.run_dir}: {done} of {len(setups.cells)} cells")


def asked(cell: Cell) -> float:
    """The share of the test examples whose rationale a cell reads."""
    shown = cell.paradigm.shown
    reads = cell.paradigm.tuned and cell.paradigm.variant == "fiat"
    return (1 - (shown.without if shown else 0.0)) if reads else 0.0


if __name__ == "__main__":
    main()
