"""`fiat compare` from its command to its results."""

from pathlib import Path

import pytest
from small_sweep import SWEEP, compare, held

from fiat_jax.cli import main
from fiat_jax.study.comparing.results import read_comparison


def test_a_sweep_leaves_results_run_folders_and_a_report_and_goes_on_from_them(table, capsys):
    assert compare() == 0
    said = capsys.readouterr()
    assert "sweep: done; sweep/report.html has the report." in said.out
    assert "10/10  finetune-12-seed1" in said.err and "min left" in said.err
    assert "step 1/4" not in said.err
    found = read_comparison(Path("sweep"))
    assert len(found.results) == 10 and not found.failed
    by_name = held()
    assert by_name["icl"]["scores"] == [100.0] * 7
    assert by_name["zero_shot"]["seed"] is None and by_name["zero_shot"]["learned"] == 0
    tuned = by_name["fiat-12-seed0"]
    assert set(tuned["tried"]) == {"0.001", "0.01"} and str(tuned["learning_rate"]) in tuned["tried"]
    assert by_name["fiat-12-seed1"]["learning_rate"] == tuned["learning_rate"]
    assert tuned["validation"] == max(tuned["tried"].values())
    assert tuned["steps"] == 4 and tuned["step"] in (2, 4) and tuned["train_tokens"] > 0
    assert by_name["fiat_wrong-12-seed0"]["learning_rate"] == tuned["learning_rate"]
    assert by_name["finetune-12-seed0"]["learned"] > tuned["learned"] > 0

    runs = sorted(path.name for path in Path("sweep/runs").iterdir())
    of_fiat = [f"fiat-{size}-seed{seed}" for size in (12, 6) for seed in (0, 1)]
    assert runs == [*of_fiat, "finetune-12-seed0", "finetune-12-seed1"]
    assert Path("sweep/runs/fiat-12-seed0/adapter/adapter_model.safetensors").exists()
    assert main(["eval", "--run_dir", "sweep/runs/fiat-12-seed0"]) == 0  # it is a run folder as any other
    tried = list(Path("sweep/trials").iterdir())
    assert len(tried) == 3 and not any((run / "checkpoints").exists() for run in tried)

    before = {path: path.stat().st_mtime_ns for path in Path("sweep/results").iterdir()}
    assert compare("sweep", "--gin.Sweep.seeds=(0, 1, 2)", "--gin.Sweep.at_largest=('fiat_wrong',)") == 0
    assert set(held()) == {path.stem for path in before} | {
        f"{name}-seed2" for name in ("fiat-6", "fiat-12", "fiat_wrong-12")
    }
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_a_cell_that_fails_is_told_and_the_others_go_on_and_it_is_tried_again(table, capsys):
    settings = """
Sweep.paradigms = ('icl', 'lora')
Sweep.at_largest = ()
Sweep.sizes = (6,)
Sweep.seeds = (0,)
Sweep.adapters = {'good': @LoRA(), 'bad': @bad/LoRA()}
bad/LoRA.targets = ('nowhere',)
"""
    table.joinpath("sweep.gin").write_text(SWEEP + settings)
    for time in range(2):
        assert compare() == 1
        said = capsys.readouterr().err
        assert "lora-bad-6-seed0  failed: " in said and "nowhere" in said
        assert "1 of 3 cells failed, lora-bad-6-seed0 the first" in said
        assert ("lora-good-6-seed0" in said) == (time == 0)
        assert sorted(held()) == ["icl", "lora-bad-6-seed0", "lora-good-6-seed0"]
        assert list(read_comparison(Path("sweep")).failed) == ["lora-bad-6-seed0"]


def test_what_cells_will_read_is_missed_before_the_first_runs_and_is_found_once_it_is_there(table, capsys):
    whole = table.joinpath("rationales.jsonl").read_text()
    table.joinpath("rationales.jsonl").write_text("".join(whole.splitlines(keepends=True)[1:]))
    assert compare() == 3
    assert "expected a rationale" in capsys.readouterr().err and not Path("sweep/results").exists()
    table.joinpath("rationales.jsonl").write_text(whole)
    words = ("--gin.Sweep.paradigms=('icl',)", "--gin.Sweep.at_largest=()")
    assert compare("sweep", *words) == 0
    assert held()["icl"]["scores"] == [100.0] * 7


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
