"""Plans of small runs, against what is known of the runs themselves."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import measure_step
import pytest

from fiat_jax.adapters import LoRA
from fiat_jax.cli import main
from fiat_jax.config import parse
from fiat_jax.models import T5Config
from fiat_jax.parallel import Mesh
from fiat_jax.study import fitting
from fiat_jax.study.experiment import assemble
from fiat_jax.study.planning import Work, plan_decoding, plan_step, useful_flops, work_of

SMALL = T5Config(96, 32, 8, 64, 4, 2, 2, dtype="float32", dropout=0.0)
WORK = Work(SMALL, LoRA(rank=4), Mesh(), batch_size=32, inputs_length=48, targets_length=24)
PLAN = ["plan", "--gin_file", "world.gin"]


@pytest.fixture(scope="module")
def step():
    """The plan of WORK as it is."""
    return plan_step(WORK)


def with_config(work, **settings):
    return replace(work, config=replace(work.config, **settings))


def test_a_step_has_the_useful_flops_and_those_of_attention_and_adapter(step):
    batch, s, t = WORK.batch_size, WORK.inputs_length, WORK.targets_length
    attention = 2 * 2 * batch * SMALL.d_attention * 2 * (s * s + t * t + s * t)
    wide, inner = SMALL.d_model + SMALL.d_attention, SMALL.d_model + SMALL.d_ff
    tokens = s * (4 * wide + 3 * inner) + t * (4 * wide + 3 * inner) + 2 * wide * (s + t)
    adapter = 2 * batch * 2 * 4 * tokens  # two layers, rank 4
    # What flows back through attention and adapter costs twice what flows forward; XLA may multiply the two
    # factors of an adapter first, where that is less.
    least = useful_flops(WORK) + 3 * attention
    assert least < step.flops <= least + 3 * adapter


def test_full_fine_tuning_has_half_as_many_useful_flops_again():
    assert useful_flops(replace(WORK, adapter=None)) == 1.5 * useful_flops(WORK)


def test_computing_again_costs_flops_and_saves_memory(step):
    again = plan_step(with_config(WORK, remat="full"))
    assert again.flops > 1.2 * step.flops and again.temporaries < 0.8 * step.temporaries


def test_attention_in_parts_saves_memory():
    long = replace(WORK, inputs_length=256, batch_size=4)
    whole, parts = (plan_step(with_config(long, attention_parts=n, remat="full")) for n in (1, 4))
    assert parts.temporaries < 0.6 * whole.temporaries


def test_decoding_counts_every_token_that_may_be_written():
    def flops(length):
        return plan_decoding(replace(WORK, targets_length=length)).flops

    short, long = flops(5), flops(9)
    assert long - short == pytest.approx(flops(13) - long, rel=0.05)


def test_a_plan_says_of_base_and_adapter_what_they_take_in_the_run(world, capsys):
    assert main([*PLAN, "--gin.plan.output='plan.json'"]) == 0
    experiment = parse("train", ["world.gin"], ["train.run_dir='run'"], []).arguments["experiment"]
    network = assemble(experiment, 0)
    found = json.loads(Path("plan.json").read_text())["tried"][0]["estimate"]["arguments"]
    for name, tree in {"base": network.base, "adapter": network.learned}.items():
        assert found[name] == sum(x.nbytes for x in jax.tree.leaves(tree))
    assert "as it is" in capsys.readouterr().out


def test_of_a_model_its_config_is_enough_and_of_a_task_its_lengths(world, capsys):
    for path in [*Path().glob("*.jsonl"), Path("model/model.safetensors")]:
        path.unlink()
    assert main(PLAN) == 0
    out = capsys.readouterr().out
    assert "a training step of 4 examples, 128 to 16 tokens: LoRA" in out and "fits" in out


def test_the_smallest_change_that_fits_is_found_by_trying(monkeypatch, step):
    again = plan_step(with_config(WORK, remat="full"))
    monkeypatch.setattr(fitting, "memory_of", lambda devices: (again.bytes + step.bytes) / 2)
    tried = list(fitting.trials(WORK, jax.devices()))
    assert [trial.fits for trial in tried] == [False] * (len(tried) - 1) + [True]
    assert tried[0].changes == () and tried[-1].changes[0].startswith("Base.remat")


def test_what_fits_with_no_change_exits_with_1_and_says_what_to_do(world, monkeypatch, capsys):
    monkeypatch.setattr("fiat_jax.cli.plan.memory_of", lambda devices: 1000.0)
    monkeypatch.setattr(fitting, "memory_of", lambda devices: 1000.0)
    assert main([*PLAN, "--gin.plan.search=False"]) == 1
    assert "take more chips, a smaller batch or shorter inputs" in capsys.readouterr().err


def test_a_change_keeps_what_it_cannot_improve_as_it_is():
    done = with_config(replace(WORK, adapter=None, batch_size=3), remat="full")
    assert fitting.smaller(done, devices=1) == []


def test_decoding_is_not_made_smaller_by_what_only_a_step_has():
    texts = [change.text for changes in fitting.smaller(WORK, 4, training=False) for change in changes]
    assert texts and all(text.startswith(("Mesh.", "Base.quantise")) for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize(("remat", "learned"), [("none", "lora"), ("full", "lora"), ("none", "full")])
def test_a_step_takes_the_memory_that_its_plan_says(remat, learned):
    script = Path(measure_step.__file__)
    run = subprocess.run(
        [sys.executable, str(script), remat, learned], capture_output=True, text=True, check=True
    )
    taken, planned = json.loads(run.stdout), plan_step(measure_step.work(remat, learned == "full"))
    assert sum(planned.arguments.values()) == pytest.approx(taken["arguments"], rel=1e-6)
    assert planned.bytes == pytest.approx(taken["arguments"] + taken["besides"], rel=0.1)


@pytest.mark.slow
def test_a_step_is_planned_for_a_tpu_that_is_not_there():
    pytest.importorskip("libtpu")
    from fiat_jax.parallel.chips import topology

    work = replace(WORK, mesh=Mesh(data=1, fsdp=4), config=replace(SMALL, dtype="bfloat16", remat="full"))
    found = plan_step(work, topology("v5e:2x2"))
    assert (found.chip, found.chips) == ("v5e", 4) and found.network_s > 0
    assert found.flops * 4 == pytest.approx(plan_step(with_config(WORK, remat="full")).flops, rel=0.1)


def test_distillation_is_planned_with_two_rows_an_example(world):
    experiment, tuning = (parse(name, ["world.gin"]).run() for name in ("Experiment", "Tuning"))
    distilled = replace(experiment, variant="distillation")
    assert work_of(distilled, tuning).batch_size == 2 * work_of(experiment, tuning).batch_size == 8
    assert work_of(distilled, tuning, training=False) == work_of(experiment, tuning, training=False)
