"""`fiat compare` from its command to its results."""

from pathlib import Path

import pytest
from small_sweep import compare, held

from fiat_jax.cli import main
from fiat_jax.study.comparing.results import read_comparison


def test_a_sweep_leaves_results_run_folders_and_a_report_and_goes_on_from_them(table, capsys):
    assert compare() == 0
    said = capsys.readouterr()
    assert "sweep: done; sweep/report.html has the report." in said.out
    assert "12/12  fiat_wrong-12-seed1" in said.err and "left" in said.err
    assert "step 1/4" not in said.err
    found = read_comparison(Path("sweep"))
    assert len(found.results) == 12 and not found.failed
    by_name = held()
    assert by_name["icl"]["scores"] == [100.0] * 7
    assert by_name["zero_shot"]["seed"] is None and by_name["zero_shot"]["learned"] == 0
    tuned = by_name["fiat-12-seed0"]
    assert set(tuned["tried"]) == {"0.001", "0.01"} and str(tuned["learning_rate"]) in tuned["tried"]
    assert by_name["fiat-12-seed1"]["learning_rate"] == tuned["learning_rate"]
    assert tuned["validation"] == max(tuned["tried"].values())
    assert tuned["steps"] == 4 and tuned["step"] in (2, 4) and tuned["train_tokens"] > 0
    assert by_name["fiat_wrong-12-seed0"]["learning_rate"] == tuned["learning_rate"]
    assert by_name["finetune-6-seed0"]["learned"] > by_name["fiat-6-seed0"]["learned"] > 0

    runs = sorted(path.name for path in Path("sweep/runs").iterdir())
    of_each = [f"-{size}-seed{seed}" for size in (12, 6) for seed in (0, 1)]
    assert runs == [f"{name}{which}" for name in ("fiat", "finetune") for which in of_each]
    assert Path("sweep/runs/fiat-12-seed0/adapter/adapter_model.safetensors").exists()
    assert main(["eval", "--run_dir", "sweep/runs/fiat-12-seed0"]) == 0  # it is a run folder as any other
    tried = list(Path("sweep/trials").iterdir())
    assert len(tried) == 4 and not any((run / "checkpoints").exists() for run in tried)

    before = {path: path.stat().st_mtime_ns for path in Path("sweep/results").iterdir()}
    Path("sweep/results/fiat-6-seed1.json").unlink()
    assert compare("sweep", "--gin.Sweep.seeds=(0, 1, 2)") == 0
    assert len(held()) == 17
    kept = [path for path, time in before.items() if path.stat().st_mtime_ns == time]
    assert len(kept) == len(before) - 1


def test_a_cell_that_fails_is_told_and_the_others_go_on_and_it_is_tried_again(table, capsys):
    table.joinpath("other.jsonl").write_text("")
    words = ("--gin.Sweep.seeds=(0,)", "--gin.Sweep.paradigms=('icl', 'lora')", "--gin.Sweep.at_largest=()")
    prompts = "--gin.Sweep.prompts={'good': 'rationales.jsonl', 'none': 'other.jsonl'}"
    assert compare("sweep", *words, prompts) == 1
    said = capsys.readouterr().err
    assert "icl-none  failed: other.jsonl: expected a rationale of each of 7 examples" in said
    assert "1 of 4 cells failed, icl-none the first" in said
    assert sorted(held()) == ["icl-good", "icl-none", "lora-12-seed0", "lora-6-seed0"]
    assert list(read_comparison(Path("sweep")).failed) == ["icl-none"]
    table.joinpath("other.jsonl").write_text(table.joinpath("rationales.jsonl").read_text())
    assert compare("sweep", *words, prompts) == 0
    assert held()["icl-none"]["scores"] == held()["icl-good"]["scores"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--gin.Sweep.sizes=(6, 40)"], 2, "Sweep.sizes: expected at most the 18 training examples"),
        (["--gin.Jsonl.validation=None"], 2, "expected a 'validation' split, or one learning rate each"),
        (["--gin.Task.rationales=None"], 2, "Task.rationales: expected some, which icl needs, found none."),
        (["--gin.Experiment.adapter=None"], 2, "expected one, which fiat learns, found None"),
        (["--gin.Task.regime=@Regime()", "--gin.Regime.size=4"], 2, "Task.regime: expected none"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_sentence(table, capsys, words, code, said):
    assert compare("sweep", *words) == code
    assert said in capsys.readouterr().err
