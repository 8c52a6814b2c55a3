"""Several runs answered with on one base, as the best checkpoint of each alone would answer."""

import dataclasses
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fiat_jax.adapters import IA3, DoRA, LoRA, for_rows
from fiat_jax.checkpoints import CheckpointStore
from fiat_jax.cli import main
from fiat_jax.config import parse
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.models import T5
from fiat_jax.study.bank import Run, assemble_bank
from fiat_jax.study.evaluation import best_weights
from fiat_jax.study.experiment import assemble

FEW = ("Tuning.steps=2", "Tuning.save_every=0", "Tuning.eval_every=0", "AdamW.learning_rate=0.1")


def trained(name, *settings):
    """A run of two steps, with the configuration that it has left."""
    words = [f"--gin.{setting}" for setting in (*FEW, *settings)]
    assert main(["train", "--gin_file", "world.gin", "--run_dir", name, *words]) == 0
    return configured(name, f"{name}/config.gin")


def configured(name, file="world.gin"):
    """A run as a gin file says it, whose folder need not be there."""
    arguments = parse("eval", [file], [f"eval.run_dir={name!r}"]).arguments
    return Run(Path(name), arguments["experiment"])


def changed(run, **settings):
    """The run with other settings of its task, base or adapter, as a configuration may say it."""
    experiment = run.experiment
    for name in ("task", "base"):
        fields = {field.name for field in dataclasses.fields(getattr(experiment, name))}
        own = {key: settings.pop(key) for key in set(settings) & fields}
        experiment = dataclasses.replace(
            experiment, **{name: dataclasses.replace(getattr(experiment, name), **own)}
        )
    return run._replace(experiment=dataclasses.replace(experiment, **settings))


def test_each_row_is_answered_as_the_best_checkpoint_of_its_run_answers_alone(world):
    runs = {
        "one": trained("one"),
        "two": trained(
            "two", "Tuning.seed=5", "LoRA.rank=2", "LoRA.targets=('.*/wo',)", "Experiment.variant='plain'"
        ),
    }
    together = assemble_bank(runs["one"].experiment, runs)
    assert together.numbers == {"one": 0, "two": 1} and together.steps == {"one": 2, "two": 2}
    names = ["two", None, "one", "two"]
    rows = together.rows(names)
    assert rows.tolist() == [1, -1, 0, 1] and rows.dtype == np.int32
    with pytest.raises(ConfigError, match="name of an adapter, found 'twoo'; did you mean 'two'"):
        together.rows(["twoo"])

    inputs = jnp.arange(3, 35).reshape(4, 8)
    base, weights = together.variables["params"], together.variables["adapter"]
    mixed = jax.jit(together.model.apply)(
        {"params": base, "adapter": for_rows(weights, rows)}, inputs, inputs
    )
    plain = jax.jit(T5(together.model.config).apply)
    alone = {name: plain(alone_weights(run), inputs, inputs) for name, run in runs.items()}
    alone[None] = plain({"params": base}, inputs, inputs)
    for at, name in enumerate(names):
        np.testing.assert_allclose(mixed[at], alone[name][at], rtol=1e-4, atol=1e-4)
        others = (np.abs(mixed[at] - alone[other][at]).max() for other in alone if other != name)
        assert min(others) > 1e-2


def alone_weights(run):
    return best_weights(run.folder, assemble(run.experiment, seed=0))[0]


def test_runs_that_cannot_share_a_batch_are_refused_by_name_with_what_differs(world):
    run = trained("one")
    shutil.copytree(world / "model", world / "other")
    tensors = load_file("other/model.safetensors")
    save_file({name: value + 0.1 for name, value in tensors.items()}, "other/model.safetensors")
    base = dataclasses.replace(run.experiment.base, path="other")
    with pytest.raises(DataError, match=r"one/checkpoints/2: expected an adapter for the base .* made for"):
        assemble_bank(dataclasses.replace(run.experiment, base=base), {"first": run})

    for settings, sentence in (
        ({"dtype": "bfloat16"}, r"expected Base\.dtype to be 'float32'.*found 'bfloat16'"),
        ({"quantise": "int8"}, r"expected Base\.quantise to be 'none'.*found 'int8'"),
        ({"inputs_length": 64}, r"expected Task\.inputs_length to be 128.*found 64"),
        ({"targets_length": 8}, r"expected Task\.targets_length to be 16.*found 8"),
        ({"adapter": DoRA(rank=4)}, "expected LoRA.*found DoRA"),
        ({"adapter": IA3()}, "expected LoRA.*found IA3"),
        ({"adapter": None}, "expected LoRA.*found a base whose own weights were learned"),
    ):
        with pytest.raises(ConfigError, match=rf"^second \(one\): {sentence}"):
            assemble_bank(run.experiment, {"first": run, "second": changed(run, **settings)})
    with pytest.raises(ConfigError, match="nowhere: expected the folder of a trained run"):
        assemble_bank(run.experiment, {"first": run._replace(folder=Path("nowhere"))})


def test_a_vocabulary_is_compared_by_its_file_and_not_by_its_place(world):
    run = configured("one")
    for name in ("here", "there", "elsewhere"):
        Path(f"{name}.json").write_text("other" if name == "elsewhere" else "same")
    here, there, elsewhere = (
        changed(run, vocabulary=f"{name}.json") for name in ("here", "there", "elsewhere")
    )
    with pytest.raises(ConfigError, match=r"^second \(one\): expected Task\.vocabulary to be 'SHA-256"):
        assemble_bank(here.experiment, {"first": there, "second": elsewhere})
    with pytest.raises(ConfigError, match=r"^first \(one\): expected Task\.vocabulary to be 'SHA.* 'byte'"):
        assemble_bank(here.experiment, {"first": run})


def test_weights_that_would_reach_all_answers_are_refused(world):
    run = configured("one")
    store = CheckpointStore(Path("broken/checkpoints"))
    adapter = LoRA(rank=1, targets=("encoder/.*/wo",))
    place = {"a": np.ones((2, 32, 1), np.float32), "b": np.full((2, 1, 16), np.nan, np.float32)}
    weights = {"encoder": {"layers": {"mlp": {"wo": {"lora": place}}}}}
    store.save(1, {"learned": {"adapter": weights}}, None, {})
    store.close()
    broken = changed(run, adapter=adapter)._replace(folder=Path("broken"))
    with pytest.raises(DataError, match=r"broken: expected finite weights.*step 1"):
        assemble_bank(run.experiment, {"broken": broken})
