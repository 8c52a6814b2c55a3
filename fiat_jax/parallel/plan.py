"""What a program will need and take, known before it runs: from its compilation alone."""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax

from fiat_jax.parallel.chips import GIB, chip_of, seconds_to_receive
from fiat_jax.parallel.costs import count
from fiat_jax.parallel.hlo import parse


@dataclass(frozen=True)
class Traffic:
    """Collectives of one kind between groups of one size.

    Attributes:
      kind: such as 'all-gather'.
      devices: that take part together.
      calls: how often a run of the program does it.
      bytes: what each device receives in all.
      seconds: the least that takes; 0 where the wiring is not known.
    """

    kind: str
    devices: int
    calls: float
    bytes: float
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """A program on one of its chips.

    Attributes:
      chip: the kind of chip.
      chips: how many run the program together.
      arguments: bytes of what it is given, by name.
      temporaries: bytes it needs besides, at the most; activations are most of it.
      flops: of matrix products.
      traffic: bytes from and to the main memory.
      collectives: bytes from other chips.
      compute_s, memory_s, network_s: the least that these three take; None where the chip is not known.
    """

    chip: str
    chips: int
    arguments: dict[str, int]
    temporaries: int
    flops: float
    traffic: float
    collectives: tuple[Traffic, ...]
    compute_s: float | None
    memory_s: float | None
    network_s: float | None

    @property
    def bytes(self) -> int:
        """The most that lies in a chip's memory at a time."""
        return sum(self.arguments.values()) + self.temporaries

    @property
    def apart_s(self) -> float | None:
        """Seconds when products, memory and network wait for each other."""
        return self._seconds(math.fsum)

    @property
    def together_s(self) -> float | None:
        """Seconds when the longest of the three hides the others."""
        return self._seconds(max)

    def utilisation(self, useful: float) -> float | None:
        """The share of the chip's peak that useful FLOPs are, with nothing overlapped.

        Args:
          useful: FLOPs of all chips together.
        """
        if self.apart_s is None or self.compute_s is None:
            return None
        peak = self.flops / self.compute_s
        return useful / self.chips / (peak * self.apart_s)

    def _seconds(self, combine: Any) -> float | None:
        parts = (self.compute_s, self.memory_s, self.network_s)
        return None if None in parts else combine(parts)

    def table(self, useful: float | None = None) -> str:
        """What lies in a chip's memory, and what takes how long.

        Args:
          useful: FLOPs of all chips that the program cannot do without; None says nothing of the utilisation.
        """
        received = sum(one.bytes for one in self.collectives)
        lines = [f"{'on a chip':<28}{'GiB':>14}"]
        for name, size in {**self.arguments, "temporaries": self.temporaries, "in all": self.bytes}.items():
            lines.append(f"  {name:<26}{size / GIB:>14.3f}")
        lines.append(f"{'once through':<42}{'seconds' if self.apart_s else '':>12}")
        rows = [
            ("matrix products", f"{self.flops / 1e12:.4g} TFLOP", self.compute_s),
            ("memory traffic", f"{self.traffic / 1e9:.4g} GB", self.memory_s),
            ("from other chips", f"{received / 1e9:.4g} GB", self.network_s),
        ]
        for name, amount, seconds in rows:
            lines.append(f"  {name:<26}{amount:>14}{_seconds(seconds)}")
        for one in self.collectives:
            name, amount = f"{one.kind} of {one.devices}", f"{one.bytes / 1e9:.3g} GB"
            seconds = None if self.network_s is None else one.seconds
            lines.append(f"    {name:<24}{amount:>14}{_seconds(seconds)}  {one.calls:,.0f} calls")
        if self.apart_s is None or self.together_s is None:
            lines.append(f"  how long that takes is not known for {self.chip}")
            return "\n".join(line.rstrip() for line in lines)
        lines.append(f"  {'one after another':<40}{_seconds(self.apart_s)}")
        lines.append(f"  {'all at once':<40}{_seconds(self.together_s)}  bound by {self.bound}")
        if useful is not None:
            lines.append(f"  useful FLOPs over the peak, one after another: {self.utilisation(useful):.0%}")
        return "\n".join(lines)

    @property
    def bound(self) -> str:
        """What takes longest."""
        parts = {"products": self.compute_s, "memory": self.memory_s, "network": self.network_s}
        return max(parts, key=lambda name: parts[name] or 0.0)

    def as_dict(self, useful: float | None = None) -> dict[str, Any]:
        """Plain values for JSON; `useful` as for `table`."""
        derived = {"bytes": self.bytes, "seconds_apart": self.apart_s, "seconds_together": self.together_s}
        return asdict(self) | derived | {"utilisation": useful and self.utilisation(useful)}


class TooLarge(Exception):
    """The compiler has found no way to fit a program into the chip's memory.

    Attributes:
      needed: bytes it would need, or None where the compiler does not say.
    """

    def __init__(self, needed: float | None) -> None:
        super().__init__()
        self.needed = needed


def estimate(
    lowered: jax.stages.Lowered, arguments: dict[str, Any], mesh: jax.sharding.Mesh, open_trips: int = 1
) -> Estimate:
    """Compiles a program and says what it needs.

    Args:
      lowered: the program.
      arguments: what it is given, by the name to report: trees of arrays or `jax.ShapeDtypeStruct`s that
        have shardings.
      mesh: where it is to run.
      open_trips: how often a loop runs whose end depends on data.

    Raises:
      TooLarge: it does not fit a chip.
    """
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise TooLarge(_needed(str(error))) from None
    memory, text = compiled.memory_analysis(), compiled.as_text()
    assert memory is not None and text is not None
    costs = count(parse(text), open_trips)
    devices = list(mesh.devices.flat)
    chip = chip_of(devices[0])
    traffic = [
        Traffic(kind, len(group), calls, bytes, _received_s(bytes, kind, group, devices))
        for (kind, group), (calls, bytes) in costs.collectives.items()
    ]
    if devices[0].platform == "tpu":  # the compiler knows the peak; of temporaries it counts gaps too
        temporaries = memory.peak_memory_in_bytes - memory.argument_size_in_bytes
    else:
        kept = memory.output_size_in_bytes - memory.alias_size_in_bytes
        temporaries = memory.temp_size_in_bytes + kept + memory.generated_code_size_in_bytes
    return Estimate(
        chip=chip.name if chip else devices[0].device_kind,
        chips=len(devices),
        arguments={name: _bytes_of(tree) for name, tree in arguments.items()},
        temporaries=temporaries,
        flops=costs.flops,
        traffic=costs.bytes,
        collectives=tuple(sorted(_merged(traffic), key=lambda one: -one.bytes)),
        compute_s=costs.flops / chip.flops if chip else None,
        memory_s=costs.bytes / chip.bandwidth if chip else None,
        network_s=sum(one.seconds for one in traffic) if chip else None,
    )


def _seconds(seconds: float | None) -> str:
    return f"{'':>12}" if seconds is None else f"{seconds:>12.4f}"


def _received_s(bytes: float, kind: str, group: Sequence[int], devices: Sequence[Any]) -> float:
    if len(group) < 2 or chip_of(devices[0]) is None:
        return 0.0
    return seconds_to_receive(bytes, kind, [devices[i] for i in group], devices)


def _merged(traffic: Sequence[Traffic]) -> list[Traffic]:
    """One entry for a kind and size of group."""
    sums: dict[tuple[str, int], Traffic] = {}
    for one in traffic:
        before = sums.get((one.kind, one.devices), Traffic(one.kind, one.devices, 0, 0, 0))
        sums[one.kind, one.devices] = Traffic(
            one.kind,
            one.devices,
            before.calls + one.calls,
            before.bytes + one.bytes,
            before.seconds + one.seconds,
        )
    return list(sums.values())


def _bytes_of(tree: Any) -> int:
    """Bytes of a tree on one device."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * _itemsize(leaf.dtype)
        for leaf in jax.tree.leaves(tree)
    )


def _itemsize(dtype: Any) -> int:
    return 8 if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) else dtype.itemsize


def _needed(message: str) -> float | None:
    """Bytes from 'Used 20.11G of 15.75G hbm' or '(22.18G) exceeds available HBM (15.75G)'."""
    found = re.search(r"([\d.]+)([KMG])(?: of|\) exceeds)", message)
    return float(found.group(1)) * 1024 ** ("KMG".index(found.group(2)) + 1) if found else None
