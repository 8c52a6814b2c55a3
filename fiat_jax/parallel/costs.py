"""What a compiled program costs a device: products, traffic with the main memory, and with other devices.

XLA's own summary counts the body of a loop once, which is wrong for scanned layers by their number. Here
everything is counted as often as its loop runs. Counted are

- FLOPs: of matrix products, two for each multiply and add; what is elementwise hides behind memory.
- bytes: what instructions read from and write to the main memory (HBM). The inside of a fusion stays on the
  chip, and so does what the compiler has put into another memory space. Of an array that is only sliced, or
  updated in place, the slice counts.
- collectives: what a device receives from others, by kind and by who takes part.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from fiat_jax.parallel.hlo import Computation, Instruction, Program, Shape

Group = tuple[int, ...]
"""Devices that take part in a collective together, by their position in the mesh."""

_FREE = (
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "iota", "partition-id"),
    *("replica-id", "opt-barrier", "async-update", "add-dependency"),
)
_ON_PAPER = ("AllocateBuffer", "AssumeGatherIndicesInBound", "AsyncCollectiveStart", "AsyncCollectiveDone")
_RECEIVED = {  # of what a device puts in, by the size of the group
    "all-gather": lambda n: n - 1,
    "all-reduce": lambda n: 2 * (n - 1) / n,
    "reduce-scatter": lambda n: (n - 1) / n,
    "all-to-all": lambda n: (n - 1) / n,
    "ragged-all-to-all": lambda n: (n - 1) / n,
    "collective-permute": lambda n: 1,
    "collective-broadcast": lambda n: 1,
}
_IOTA = r"\[([\d,]+)\](?:T\(([\d,]+)\))?"
_SLICES = ("dynamic-slice", "slice", "gather")


class Collective(NamedTuple):
    """Traffic between devices.

    Attributes:
      calls: how often it is done.
      bytes: what each device receives in all.
    """

    calls: float
    bytes: float


class Costs(NamedTuple):
    """What one device does in one run of a program.

    Attributes:
      flops: of matrix products.
      bytes: read from and written to the main memory.
      collectives: by kind and group.
    """

    flops: float = 0.0
    bytes: float = 0.0
    collectives: Mapping[tuple[str, Group], Collective] = {}

    def plus(self, other: "Costs", times: float = 1) -> "Costs":
        """The sum, with the other as often as said."""
        sums = dict(self.collectives)
        for key, (calls, bytes) in other.collectives.items():
            before = sums.get(key, Collective(0, 0))
            sums[key] = Collective(before.calls + times * calls, before.bytes + times * bytes)
        return Costs(self.flops + times * other.flops, self.bytes + times * other.bytes, sums)


def count(program: Program, open_trips: int = 1) -> Costs:
    """Counts a program.

    Args:
      program: as `hlo.parse` gives it.
      open_trips: how often a loop runs whose end depends on data, such as that of decoding.
    """
    return _Counter(program, open_trips).computation(program.entry)


class _Counter:
    def __init__(self, program: Program, open_trips: int) -> None:
        self._program, self._open_trips = program, open_trips

    def computation(self, computation: Computation, begun_before: Iterable[str] = ()) -> Costs:
        """What is done outside of fusions and in them; collectives that had begun before are not counted."""
        total, begun = Costs(), set(begun_before)
        for one in computation.values():
            times = 1
            if one.opcode == "while":
                trips = self._program.trips(one, computation)
                times = self._open_trips if trips is None else trips
            total = total.plus(self._instruction(one, computation, begun), times)
        return total

    def _instruction(self, one: Instruction, around: Computation, begun: set[str]) -> Costs:
        called, kind = self._program.called, _collective_kind(one)
        if one.opcode in _FREE or one.opcode.endswith("-done") or _is_on_paper(one):
            return Costs()
        if one.opcode == "while":
            return self.computation(called(one, "body"), begun)
        if one.opcode in ("call", "async-start"):
            return self.computation(called(one, "to_apply" if one.opcode == "call" else "calls"))
        if one.opcode == "conditional":
            branches = [self.computation(self._program.computations[name]) for name in one.branches()]
            return max(branches, key=lambda costs: (costs.flops, costs.bytes))
        if one.opcode == "fusion":
            inside = self._fused(called(one, "calls"), begun)
            return inside.plus(Costs(bytes=self._fusion_bytes(one, around)))
        if kind:
            return _collective(kind, one, around, begun)
        return Costs(_flops(one, around), _bytes(one, around))

    def _fused(self, computation: Computation, begun: set[str]) -> Costs:
        """Products and collectives inside a fusion."""
        total = Costs()
        for one in computation.values():
            kind = _collective_kind(one)
            if one.opcode == "fusion":
                total = total.plus(self._fused(self._program.called(one, "calls"), begun))
            elif kind:
                total = total.plus(_collective(kind, one, computation, begun))
            else:
                total = total.plus(Costs(_flops(one, computation)))
        return total

    def _fusion_bytes(self, one: Instruction, around: Computation) -> float:
        body = self._program.called(one, "calls")
        total = 0.0
        for position, name in body.parameters.items():
            shape = around[one.operands[position]].shapes[0]
            if shape.space == 0:
                total += min(self._read(body, name), shape.bytes)
        if len(one.shapes) == 1:
            roots = [body.root]
        elif body.root.opcode == "tuple":
            roots = [body[name] for name in body.root.operands]
        else:
            roots = [body.root] * len(one.shapes)
        written = zip(roots, one.shapes, strict=True)
        return total + sum(self._written(root, body, shape) for root, shape in written if shape.space == 0)

    def _read(self, body: Computation, name: str) -> float:
        """Bytes that a fusion reads of one of its parameters."""
        total = 0.0
        for user in body.users[name]:
            if user.opcode in _SLICES and user.operands[0] == name:
                total += user.shapes[0].bytes
            elif user.opcode == "bitcast":
                total += self._read(body, user.name)
            elif user.opcode == "fusion":
                inner = self._program.called(user, "calls")
                places = [i for i, operand in enumerate(user.operands) if operand == name]
                total += sum(self._read(inner, inner.parameters[i]) for i in places)
            elif user.opcode == "tuple" or _collective_kind(user) or _is_on_paper(user):
                continue
            elif user.opcode != "dynamic-update-slice" or user.operands[0] != name:
                return body[name].shapes[0].bytes
        return total

    def _written(self, root: Instruction, body: Computation, shape: Shape) -> float:
        """Bytes that a fusion writes for one of its results."""
        while True:
            if root.opcode == "bitcast":
                root = body[root.operands[0]]
            elif root.opcode == "fusion" and len(root.shapes) == 1:
                body = self._program.called(root, "calls")
                root = body.root
            elif root.opcode == "dynamic-update-slice":
                return body[root.operands[1]].shapes[0].bytes
            elif root.opcode == "parameter" or _collective_kind(root) or _is_on_paper(root):
                return 0.0
            else:
                return shape.bytes


def _collective_kind(one: Instruction) -> str | None:
    kind = one.opcode.removesuffix("-start")
    return kind if kind in _RECEIVED else None


def _is_on_paper(one: Instruction) -> bool:
    """Whether a call moves nothing by itself."""
    return one.opcode == "custom-call" and one.attribute("custom_call_target") in _ON_PAPER


def _is_library_product(one: Instruction) -> bool:
    """Whether this is a matrix product that a GPU's compiler leaves to cuBLAS."""
    return one.opcode == "custom-call" and (one.attribute("custom_call_target") or "").startswith("__cublas$")


def _contracted(one: Instruction) -> tuple[int, ...]:
    """The axes of a product's first operand that are summed over."""
    if one.opcode == "dot":
        return one.numbers("lhs_contracting_dims")
    noted = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', one.attributes)
    assert noted, one
    return _numbers(noted.group(1).replace('"', ""))


def _collective(kind: str, one: Instruction, around: Computation, begun: set[str]) -> Costs:
    """Counts a collective once, though a TPU's compiler may write each of its stages as a whole one."""
    channel = one.attribute("channel_id") or one.name
    if channel in begun:
        return Costs()
    begun.add(channel)
    operands = one.operands[:1] if kind == "collective-permute" else one.operands
    given = sum(shape.bytes for name in operands for shape in around[name].shapes)
    group = _group(one)
    received = given * _RECEIVED[kind](max(len(group), 1))
    return Costs(0.0, _bytes(one, around), {(kind, group): Collective(1, received)})


def _bytes(one: Instruction, around: Computation) -> float:
    """What an instruction outside of fusions reads and writes."""
    operands = [around[name].shapes[0] for name in one.operands if name in around and around[name].shapes]
    results = list(one.shapes)
    if one.opcode == "copy-start" or _is_library_product(one):  # what follows is no array of the program's
        results = results[:1]
    elif one.opcode.endswith("-start"):  # the result names the operands first
        results = results[len(operands) : len(operands) + 1]
    if one.opcode == "dynamic-update-slice":
        operands, results = operands[1:2], operands[1:2]
    elif one.opcode in (*_SLICES, "slice-start"):
        operands = [results[0]._replace(space=operands[0].space)]
    return sum(shape.bytes for shape in (*operands, *results) if shape.space == 0)


def _flops(one: Instruction, around: Computation) -> float:
    """Two for each multiply and add of a matrix product."""
    if one.opcode == "dot" or _is_library_product(one):
        left = around[one.operands[0]].shapes[0]
        inner = [left.dims[axis] for axis in _contracted(one)]
        return 2.0 * one.shapes[0].elements * float(np.prod(inner, dtype=np.float64))
    if one.opcode == "convolution":
        return 2.0 * _convolution(one, around)
    return 0.0


def _convolution(one: Instruction, around: Computation) -> float:
    """Multiplications of a convolution, as which a TPU's compiler writes products; padding is none."""
    left, right = (around[name].shapes[0].dims for name in one.operands[:2])
    labels = re.match(r"(\w+)_(\w+)->(\w+)", one.attribute("dim_labels") or "")
    assert labels, one
    inputs, kernel, outputs = labels.groups()
    total = float(right[kernel.index("i")]) * right[kernel.index("o")] * left[inputs.index("b")]
    batches = one.numbers("batch_group_count")
    total /= batches[0] if batches else 1
    window = _window(one.attribute("window") or "")
    for axis in sorted(set(kernel) - {"i", "o"}):
        at = int(axis)
        get = {name: values[at] for name, values in window.items()}
        size, low = get["size"], get.get("pad", (0, 0))[0]
        o = np.arange(one.shapes[0].dims[outputs.index(axis)])[:, None] * get.get("stride", 1)
        k = np.arange(size)[None] * get.get("rhs_dilate", 1)
        position, dilation = o + k - low, get.get("lhs_dilate", 1)
        inside = (position >= 0) & (position < (left[inputs.index(axis)] - 1) * dilation + 1)
        total *= int((inside & (position % dilation == 0)).sum())
    return total


def _window(text: str) -> dict[str, list]:
    """`size=1x2 pad=0_0x1_1` as lists by name, one item an axis."""
    found: dict[str, list] = {}
    for name, values in re.findall(r"(\w+)=(\S+)", text):
        parts = [tuple(map(int, part.split("_"))) for part in values.split("x")]
        found[name] = parts if name == "pad" else [part[0] for part in parts]
    return found


def _group(one: Instruction) -> Group:
    """The first of the groups that a collective runs in.

    Raises:
      ValueError: they are written in a form that is not known.
    """
    text = one.attributes
    if pairs := re.search(r"source_target_pairs=\{(.*?)\}\}", text):
        return tuple(sorted(map(int, re.findall(r"\d+", pairs.group(1))[:2])))
    if listed := re.search(r"replica_groups=\{\{([\d,]*)\}", text):
        return _numbers(listed.group(1))
    if drawn := re.search(rf"replica_groups=\[([\d,]+)\]<={_IOTA}", text):
        return tuple(map(int, _ids(*drawn.groups()[1:]).reshape(_numbers(drawn.group(1)))[0]))
    if named := re.search(rf"replica_groups=mesh\[(.*?)\](?:, device_ids=\({_IOTA}\))? \{{(.*?)\}}", text):
        axes = {name: int(size) for name, size in re.findall(r"'(\w+)'=(\d+)", named.group(1))}
        ids = _ids(named.group(2) or f"{math.prod(axes.values())}", named.group(3))
        chosen = re.findall(r"'(\w+)'", named.group(4))
        if set(chosen) <= axes.keys() and ":" not in named.group(4):
            first = tuple(slice(None) if name in chosen else 0 for name in axes)
            return tuple(map(int, ids.reshape(tuple(axes.values()))[first].ravel()))
    raise ValueError(f"{one.name}: expected groups of devices in a form that is known, found {text[:200]!r}")


def _ids(sizes: str, order: str | None) -> np.ndarray:
    """Devices counted in an order of axes, as `[4,2]T(1,0)` says it."""
    shape = _numbers(sizes)
    return np.arange(math.prod(shape)).reshape(shape).transpose(_numbers(order or "") or None)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)
