"""Every preset of a mesh on eight fake devices: the numbers of one device, one compile, and what is split."""

import math
import re
from pathlib import Path

import fake_devices
import numpy as np
import pytest

from fiat_jax.config.files import SHIPPED

PRESETS = sorted(path.stem for path in (SHIPPED / "meshes").glob("*.gin"))
ONE, MANY = "one_device", [preset for preset in PRESETS if preset != "one_device"]
LEARNED = ("adapter", "params")
# As run_presets.py has them, and the mesh of fsdp_tensor.
ROWS, INPUTS, TARGETS, ANSWER = 8, 11, 5, 6
LAYERS, HEADS, WIDTH, WORDS = 3, 8, 16, 128
FSDP, TENSOR = 4, 2


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = tmp_path_factory.mktemp("presets") / "found.npz"
    fake_devices.run(Path(__file__).with_name("run_presets.py"), out)
    return dict(np.load(out))


@pytest.mark.parametrize("preset", MANY)
@pytest.mark.parametrize("learned", LEARNED)
def test_a_step_is_that_of_one_device(found, preset, learned):
    kept = [name.split("/", 1)[1] for name in found if name.startswith(f"{ONE}/{learned}/kept/")]
    assert len(kept) > 30
    for name in kept:
        value, expected = found[f"{preset}/{name}"], found[f"{ONE}/{name}"]
        assert np.linalg.norm(value - expected) <= 1e-5 * np.linalg.norm(expected), name


@pytest.mark.parametrize("preset", MANY)
def test_answers_are_those_of_one_device_token_for_token(found, preset):
    expected = found[f"{ONE}/tokens"]
    assert len(np.unique(expected)) > 7
    np.testing.assert_array_equal(found[f"{preset}/tokens"], expected)
    np.testing.assert_allclose(found[f"{preset}/losses"], found[f"{ONE}/losses"], rtol=1e-5)


@pytest.mark.parametrize("preset", PRESETS)
def test_each_program_compiles_once_for_one_shape(found, preset):
    compiles = {name: int(n) for name, n in found.items() if re.match(rf"{preset}/.*compiles", name)}
    assert len(compiles) == 4 and set(compiles.values()) == {1}


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_learned_stays_where_it_was_placed_and_answers_are_whole_everywhere(found, preset):
    assert found[f"{preset}/adapter/as placed"] and found[f"{preset}/params/as placed"]
    assert found[f"{preset}/whole"]


@pytest.mark.parametrize("program", ["step", "greedy"])
def test_the_base_is_gathered_a_layer_at_a_time(found, program):
    text = str(found[f"fsdp_tensor/{program}"])
    bodies = set(re.findall(r"body=%([\w.]+)", text))
    inside, outside = [], []
    for part in re.split(r"\n(?=%|ENTRY)", text):
        name = re.match(r"(?:ENTRY )?%([\w.]+)", part)
        gathered = [sizes(shape) for shape in re.findall(r"= \w+\[([\d,]*)\]\S* all-gather\(", part)]
        (inside if name and name[1] in bodies else outside).extend(gathered)
    assert inside.count([WIDTH, 32 // TENSOR]) >= 6
    assert max(map(math.prod, inside)) <= WIDTH * 32
    assert max(map(math.prod, outside)) <= ROWS * TARGETS * WIDTH  # states before the head, and no parameter
    assert [WORDS, WIDTH // FSDP] not in outside


def test_attention_is_split_by_rows_and_heads(found):
    logits = [shape for shape in shapes(found["fsdp_tensor/step"]) if shape[-2:] == [INPUTS, INPUTS]]
    one_layer = ROWS // FSDP * HEADS // TENSOR
    assert {math.prod(shape[:-2]) for shape in logits} <= {one_layer, LAYERS * one_layer, HEADS // TENSOR}


def test_the_cache_is_split_by_rows_and_heads(found):
    program = shapes(found["fsdp_tensor/greedy"])
    values, keys = [[ROWS // FSDP, HEADS // TENSOR, *places] for places in ([ANSWER, 4], [4, ANSWER])]
    assert values in program and keys in program
    wider = [shape for shape in program if sorted(shape[-2:]) == sorted(values[-2:]) and len(shape) == 4]
    assert {tuple(shape[:2]) for shape in wider} <= {(ROWS // FSDP, HEADS // TENSOR), (1, 1)}


def test_logits_are_split_by_words_over_all_devices_that_share_the_base(found):
    logits = [shape for shape in shapes(found["fsdp_tensor/step"]) if shape[-2:-1] == [TARGETS]]
    assert [ROWS, TARGETS, WORDS // (FSDP * TENSOR)] in logits
    assert not any(shape[-1] in (WORDS, WORDS // TENSOR, WORDS // FSDP) for shape in logits)


def shapes(text: np.ndarray) -> list[list[int]]:
    """The distinct shapes of arrays in a program."""
    return [sizes(shape) for shape in set(re.findall(r"\b\w+\[([\d,]+)\]", str(text)))]


def sizes(shape: str) -> list[int]:
    """The sizes of more than one: a layer of a stack has an axis of its own, or has it no more."""
    return [int(size) for size in shape.split(",") if size not in ("", "1")]
