"""The chips a plan may be made for: what they can do, and how they are wired."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from fiat_jax.errors import ConfigError

GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """What a chip can do, as its maker says.

    Attributes:
      name: what it is called.
      kind: how JAX calls it.
      flops: bfloat16 products a second.
      memory: bytes of main memory (HBM) that a program may use.
      bandwidth: bytes a second from and to it.
      link: bytes a second that one link to a neighbour brings.
      torus: along how many chips an axis of the wiring must go to be closed to a ring; 0 where all are
        wired to all.
    """

    name: str
    kind: str
    flops: float
    memory: float
    bandwidth: float
    link: float
    torus: int


CHIPS = (
    Chip("v5e", "TPU v5 lite", 197e12, 15.75 * GIB, 819e9, 45e9, 16),
    Chip("v5p", "TPU v5", 459e12, 95 * GIB, 2765e9, 90e9, 4),
    Chip("v6e", "TPU v6 lite", 918e12, 31.25 * GIB, 1640e9, 90e9, 16),
    Chip("A100", "NVIDIA A100", 312e12, 80 * GIB, 2039e9, 300e9, 0),
    Chip("H100", "NVIDIA H100", 989e12, 80 * GIB, 3350e9, 450e9, 0),
    Chip("H200", "NVIDIA H200", 989e12, 141 * GIB, 4800e9, 450e9, 0),
)
TPUS = tuple(chip.name for chip in CHIPS if chip.torus)


def chip_of(device: Any) -> Chip | None:
    """The chip that a device is, or None for one that is not in the table, such as a CPU."""
    fitting = [chip for chip in CHIPS if device.device_kind.startswith(chip.kind)]
    return max(fitting, key=lambda chip: len(chip.kind), default=None)


def topology(name: str) -> Sequence[Any]:
    """The devices of a TPU slice that need not be there, for which programs can be compiled.

    Args:
      name: chip and wiring, such as 'v5e:4x4' or 'v5p:2x2x4'.

    Raises:
      ConfigError: no such slice, or libtpu is not installed.
    """
    if name.partition(":")[0] not in TPUS:
        raise ConfigError(
            f"topology: expected a chip of {', '.join(TPUS)} and its wiring, like 'v5e:4x4', found {name!r}."
        )
    for variable, value in {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # a plan uses no TPU, and may be made beside a run that does
        "TPU_ACCELERATOR_TYPE": "v5litepod-16",  # of no effect on the topology; without it, libtpu complains
    }.items():
        os.environ.setdefault(variable, value)
    from jax.experimental import topologies

    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name).devices
    except ModuleNotFoundError:
        raise ConfigError(
            f"topology {name!r}: expected the TPU compiler, found none; install fiat-jax[plan]."
        ) from None
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        raise ConfigError(
            f"topology: expected a slice that there is, like '{name.partition(':')[0]}:4x4', found {name!r} "
            f"({str(error).splitlines()[0]})."
        ) from None


def seconds_to_receive(bytes: float, kind: str, group: Sequence[Any], slice: Sequence[Any]) -> float:
    """How long a collective takes at least, by the chip in the group that has the fewest links.

    Along each axis of the wiring that the group spans, a chip at an end has one link that brings data, and
    two where the axis is closed to a ring. A permute goes along one axis.

    Args:
      bytes: received by each device.
      kind: of the collective.
      group: devices that take part.
      slice: all devices of the slice.
    """
    chip = chip_of(group[0])
    assert chip is not None
    if not chip.torus:
        return bytes / chip.link
    spans, extents = (
        [len(set(places)) for places in zip(*(device.coords for device in devices), strict=True)]
        for devices in (group, slice)
    )
    closed = [extent % chip.torus == 0 for extent in extents]
    if chip.name == "v5p":  # made of cubes: one that is not whole has no closed axis
        closed = [all(closed)] * len(closed)
    links = [1 + ring for span, ring in zip(spans, closed, strict=True) if span > 1]
    if kind == "collective-permute":
        links = [max(links, default=1)]
    return bytes / (chip.link * max(sum(links), 1))
