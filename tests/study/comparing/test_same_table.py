"""Sweeps that are killed, or run side by side, end as one that is neither."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_sweep import SWEEP, held

CODE = "import sys; from fiat_jax.cli import main; sys.exit(main())"
THIRTY = """
Sweep.sizes = (6, 12)
Sweep.seeds = (0, 1, 2)
Sweep.paradigms = ('lora', 'lora_instruction', 'fiat', 'fiat_wrong')
Sweep.at_largest = ('finetune', 'icl', 'few_shot')
Sweep.learning_rates = {'adapter': (1e-3, 1e-2), 'base': (1e-3, 1e-2)}
Sweep.marker = 'it is'
Tuning.steps = 6
Tuning.eval_every = 3
Tuning.save_every = 2
"""


def started(run_dir):
    words = ["compare", "--gin_file", "world.gin", "--gin_file", "sweep.gin", "--run_dir", run_dir]
    return subprocess.Popen([sys.executable, "-c", CODE, *words], stderr=subprocess.DEVNULL)


def done(run_dir):
    return len(list(Path(run_dir, "results").glob("*.json")))


def killed_after(run_dir, cells, process):
    """Kills a sweep at a moment of its own after so many results."""
    while done(run_dir) < cells:
        assert process.poll() is None, "the sweep ended by itself"
        time.sleep(0.01)
    time.sleep(random.Random(cells).random())
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_sweep_of_thirty_cells_killed_three_times_ends_with_the_table_of_one_never_killed(table):
    (table / "sweep.gin").write_text(THIRTY)
    moments = sorted(random.Random(int(os.environ.get("FIAT_KILL_SEED", "0"))).sample(range(1, 28), 3))
    for cells in moments:
        killed_after("killed", cells, started("killed"))
    assert started("killed").wait() == 0
    assert started("whole").wait() == 0
    assert len(held("whole")) == 31
    assert held("killed") == held("whole")


@pytest.mark.slow
def test_runs_side_by_side_on_a_device_each_end_with_the_table_of_runs_one_after_another(table):
    (table / "sweep.gin").write_text(SWEEP)
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    words = ["compare", "--gin_file", "world.gin", "--gin_file", "sweep.gin", "--run_dir", "beside"]
    command = [sys.executable, "-c", CODE, *words, "--gin.Sweep.at_once=2"]
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    assert started("after").wait() == 0
    assert held("beside") == held("after")
