"""The mesh of devices, and the one table that maps logical axes to it."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from fiat_jax.errors import ConfigError

AXES = ("data", "fsdp", "tensor")
RULES = (
    # Activations.
    ("batch", ("data", "fsdp")),
    ("length", None),
    ("rows", "data"),  # of a batch, where devices of fsdp have a share of the vocabulary and not of the rows
    ("words", ("tensor", "fsdp")),
    # Parameters, and what is computed from them.
    ("vocab", "tensor"),
    ("heads", "tensor"),
    ("mlp", "tensor"),
    ("embed", "fsdp"),
    ("layers", None),
    ("rank", None),
    ("buckets", None),
)
"""Over which axes of the mesh each logical axis is split; None for not."""

_log = logging.getLogger(__name__)


def _axes(place: str | Sequence[str] | None) -> tuple[str, ...]:
    """The axes of the mesh that a rule names."""
    return (place,) if isinstance(place, str) else tuple(place or ())


def check_rules(rules: Sequence[tuple[str, Any]]) -> None:
    """Makes sure that a table has one rule a logical axis, each for axes that there are, each axis once.

    Raises:
      ValueError: it has not.
    """
    names = [name for name, _ in rules]
    for name, place in rules:
        if names.count(name) > 1:
            raise ValueError(f"{name}: expected one rule, found {names.count(name)}.")
        axes = _axes(place)
        if not set(axes) <= set(AXES) or len(set(axes)) < len(axes):
            raise ValueError(f"{name}: expected different axes among {', '.join(AXES)}, found {place!r}.")


check_rules(RULES)


@dataclass(frozen=True)
class Mesh:
    """How devices are arranged; one axis may be -1, and takes all devices that the others leave.

    Attributes:
      data: copies of the model, each with its share of the batch.
      fsdp: devices that share the base between them and gather it layer by layer.
      tensor: devices that split heads, feed-forward and vocabulary.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1

    def build(self, devices: Sequence[Any] | None = None) -> jax.sharding.Mesh:
        """The mesh over all devices; where all three axes are given, also over the first of one process.

        Args:
          devices: those of a plan; by default the ones at hand.

        Raises:
          ConfigError: the axes do not multiply to devices that there are.
        """
        devices = jax.devices() if devices is None else devices
        sizes = self.sizes(len(devices))
        if sizes is None or (math.prod(sizes) < len(devices) and jax.process_count() > 1):
            raise ConfigError(
                f"Mesh: expected data x fsdp x tensor to be the {len(devices)} devices there are, found "
                f"{self.data} x {self.fsdp} x {self.tensor}; Mesh.data = -1 takes what the others leave, "
                "and one of the others may be -1 instead."
            )
        used = math.prod(sizes)
        if used < len(devices):
            _log.warning("Mesh: %d of the %d devices are used", used, len(devices))
        types = (AxisType.Auto,) * len(AXES)
        return jax.make_mesh(sizes, AXES, axis_types=types, devices=devices[:used])

    def sizes(self, devices: int) -> tuple[int, int, int] | None:
        """The sizes of the axes with so many devices; None where they do not fit those."""
        given = (self.data, self.fsdp, self.tensor)
        left = devices // max(-math.prod(given), 1)
        data, fsdp, tensor = (left if size == -1 else size for size in given)
        used = data * fsdp * tensor
        fits = used == devices if -1 in given else used <= devices
        return (data, fsdp, tensor) if fits and min(data, fsdp, tensor) > 0 and given.count(-1) < 2 else None


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """The sharding of an array that every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def partition(names: Sequence[str | None]) -> PartitionSpec:
    """How an array whose axes have these names is split.

    Raises:
      ValueError: a name has no rule, or two are split over the same axis of the mesh.
    """
    rules: dict[str | None, Any] = {None: None, **dict(RULES)}
    if unknown := set(names) - set(rules):
        raise ValueError(f"{tuple(names)}: expected names with a rule, found {', '.join(map(str, unknown))}.")
    places = [rules[name] for name in names]
    axes = [axis for place in places for axis in _axes(place)]
    if len(set(axes)) < len(axes):
        raise ValueError(f"{tuple(names)}: expected each axis of the mesh once, found {', '.join(axes)}.")
    return PartitionSpec(*places)


def shardings(abstract: Any, mesh: jax.sharding.Mesh) -> Any:
    """A NamedSharding for every leaf of an abstract tree whose leaves name their logical axes.

    Raises:
      ConfigError: an array does not divide among the devices that would share it.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(
        abstract, is_leaf=lambda leaf: isinstance(leaf, nn.LogicallyPartitioned)
    )
    _check_sizes(leaves, mesh)
    places = [NamedSharding(mesh, partition(_names(leaf))) for _, leaf in leaves]
    return jax.tree_util.tree_unflatten(tree, places)


def _check_sizes(leaves: Sequence[tuple[Any, Any]], mesh: jax.sharding.Mesh) -> None:
    split = list(_split_sizes(leaves))
    for axes, size, where in split:
        devices = math.prod(mesh.shape[axis] for axis in axes)
        if size % devices:
            common = math.gcd(*(other for used, other, _ in split if used == axes))
            fitting = [str(number) for number in range(1, devices) if common % number == 0]
            raise ConfigError(
                f"{' x '.join(f'Mesh.{axis}' for axis in axes)}: expected a divisor of {size}, {where}, "
                f"found {devices}; take {' or '.join(fitting)}."
            )


def _split_sizes(leaves: Sequence[tuple[Any, Any]]) -> Iterator[tuple[tuple[str, ...], int, str]]:
    """Over which axes of the mesh a size is split, for each that is, and whose it is."""
    for path, leaf in leaves:
        names = _names(leaf)
        sizes = leaf.value.shape if names else ()
        for name, size, place in zip(names, sizes, partition(names), strict=True):
            if axes := _axes(place):
                where = jax.tree_util.keystr(path, simple=True, separator="/")
                yield axes, size, f"the size of {where} along {name!r}"


def _names(leaf: Any) -> tuple[str | None, ...]:
    return leaf.names if isinstance(leaf, nn.LogicallyPartitioned) else ()
