"""The table of chips, and how long they take to hear from each other."""

from types import SimpleNamespace

import pytest

from fiat_jax.errors import ConfigError
from fiat_jax.parallel import chips


def slice_of(kind, *extents):
    places = [()]
    for extent in extents:
        places = [(*place, i) for place in places for i in range(extent)]
    return [SimpleNamespace(device_kind=kind, coords=place, platform="tpu") for place in places]


def row(devices, axis):
    """The devices at the origin of all other axes."""
    return [d for d in devices if not any(place for i, place in enumerate(d.coords) if i != axis)]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("TPU v5 lite", "v5e"), ("TPU v5", "v5p"), ("TPU v6 lite", "v6e"), ("NVIDIA H100 80GB HBM3", "H100")],
)
def test_a_device_is_known_by_what_jax_calls_it(kind, name):
    assert chips.chip_of(SimpleNamespace(device_kind=kind)).name == name


def test_a_cpu_is_no_chip_of_the_table():
    assert chips.chip_of(SimpleNamespace(device_kind="cpu")) is None


def test_an_axis_that_is_a_ring_brings_twice_what_a_line_does():
    line, ring = slice_of("TPU v5 lite", 4, 4, 1), slice_of("TPU v5 lite", 16, 16, 1)
    on_line = chips.seconds_to_receive(45e9, "all-gather", row(line, 0), line)
    on_ring = chips.seconds_to_receive(45e9, "all-gather", row(ring, 0), ring)
    assert (on_line, on_ring) == (1.0, 0.5)


def test_a_group_along_two_axes_hears_by_both_and_a_permute_by_one():
    devices = slice_of("TPU v5 lite", 4, 4, 1)
    assert chips.seconds_to_receive(45e9, "all-gather", devices, devices) == 0.5
    assert chips.seconds_to_receive(45e9, "collective-permute", devices[:2], devices) == 1.0


def test_only_whole_cubes_of_a_v5p_are_closed():
    whole, part = slice_of("TPU v5", 4, 4, 8), slice_of("TPU v5", 2, 2, 4)
    assert chips.seconds_to_receive(90e9, "all-gather", row(whole, 2), whole) == 0.5
    assert chips.seconds_to_receive(90e9, "all-gather", row(part, 2), part) == 1.0


@pytest.mark.parametrize("name", ["v5e", "v9:4x4", "4x4", ""])
def test_a_slice_that_cannot_be_is_refused_with_an_example(name):
    if name == "v5e":
        pytest.importorskip("libtpu")
    with pytest.raises(ConfigError, match=r"topology: expected .*'v5e:4x4'.*found"):
        chips.topology(name)
