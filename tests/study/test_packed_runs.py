"""Runs whose examples share rows: what cannot be packed is refused before anything is read."""

import pytest

from fiat_jax.cli import main

REFUSED = {
    "the variant 'distillation' found True": ["--gin.Experiment.variant=distillation"],
    "a SoftPrompt, which stands before a row": ["--gin.Experiment.adapter=@SoftPrompt()"],
}


@pytest.mark.parametrize("found", REFUSED)
def test_what_cannot_share_rows_is_refused_in_a_sentence(world, capsys, found):
    words = ["--gin_file", "world.gin", "--run_dir", "run", "--gin.Tuning.packing=True", *REFUSED[found]]
    assert main(["train", *words]) == 2
    said = capsys.readouterr().err
    assert f"Tuning.packing: expected False with {found}" in said and "leave one of them out" in said
