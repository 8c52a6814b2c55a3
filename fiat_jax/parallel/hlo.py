"""Compiled programs read: the text that XLA prints of one, as computations of instructions.

No more is read than counting needs: shapes with the memory they lie in, operands, called computations, and
how often a loop runs.
"""

import math
import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_SHAPE = re.compile(r"\b([a-z]\w*)\[([\d,<=]*)\](?:\{([^}]*)\})?")
_OPERAND = re.compile(r"%([\w.\-]+)")
_CALLED = re.compile(r"\b(calls|to_apply|body|condition|\w+_computations?)=\{?(%[\w.\-]+(?:, ?%[\w.\-]+)*)")
_SPACE = re.compile(r"S\((\d+)\)")
_BITS = re.compile(r"\d+")


class Shape(NamedTuple):
    """An array of a program: its element type as XLA says it, its size, and its memory space, 0 the main."""

    dtype: str
    dims: tuple[int, ...]
    space: int

    @property
    def elements(self) -> int:
        """How many."""
        return math.prod(self.dims)

    @property
    def bytes(self) -> float:
        """What it takes without padding; nothing, where the type is no number."""
        if self.dtype == "pred":
            return self.elements
        bits = _BITS.search(self.dtype)
        return self.elements * int(bits.group()) / 8 if bits else 0.0


class Instruction(NamedTuple):
    """One line of a computation.

    Attributes:
      name: unique in the program.
      opcode: XLA's.
      shapes: of the result; several where it is a tuple, in the order they are printed.
      operands: names of instructions of the same computation; of a constant or parameter, its text.
      attributes: the rest of the line.
    """

    name: str
    opcode: str
    shapes: tuple[Shape, ...]
    operands: tuple[str, ...]
    attributes: str

    def called(self, role: str) -> list[str]:
        """Names of the computations it calls as 'calls', 'body' and so on."""
        for found, names in _CALLED.findall(self.attributes):
            if found == role:
                return _OPERAND.findall(names)
        return []

    def branches(self) -> list[str]:
        """Names of the computations of which a `conditional` runs one."""
        roles = ("branch_computations", "true_computation", "false_computation")
        return [name for role in roles for name in self.called(role)]

    def attribute(self, name: str) -> str | None:
        """The text of an attribute such as `dim_labels`, braces taken off."""
        found = re.search(rf"\b{name}=(?:\{{([^}}]*)\}}|([^\s,]+))", self.attributes)
        if not found:
            return None
        return (found.group(1) if found.group(1) is not None else found.group(2)).strip('"')

    def numbers(self, name: str) -> tuple[int, ...]:
        """The integers of an attribute; none where it is absent."""
        return tuple(map(int, re.findall(r"-?\d+", self.attribute(name) or "")))


class Computation(dict[str, Instruction]):
    """Instructions by name, in order of execution; the last is the root."""

    root: Instruction

    @cached_property
    def parameters(self) -> dict[int, str]:
        """Names by position."""
        return {int(one.operands[0]): one.name for one in self.values() if one.opcode == "parameter"}

    @cached_property
    def users(self) -> dict[str, list[Instruction]]:
        """Who reads an instruction, by its name."""
        found: dict[str, list[Instruction]] = {name: [] for name in self}
        for one in self.values():
            for operand in set(one.operands) & found.keys():
                found[operand].append(one)
        return found


class Program(NamedTuple):
    """All computations by name, and the one that runs."""

    computations: dict[str, Computation]
    entry: Computation

    def called(self, instruction: Instruction, role: str) -> Computation:
        """The one computation that an instruction calls in a role."""
        return self.computations[instruction.called(role)[0]]

    def trips(self, loop: Instruction, around: Computation) -> int | None:
        """How often a `while` runs: as XLA notes it, or by its counter; None where that depends on data."""
        noted = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', loop.attributes)
        if noted:
            return int(noted.group(1))
        condition, body = self.called(loop, "condition"), self.called(loop, "body")
        test = condition.root
        sides = [self._counter(name, condition) for name in test.operands]
        if test.opcode == "fusion":
            test = self.called(test, "calls").root
        if test.opcode != "compare" or "direction=LT" not in test.attributes or len(sides) != 2:
            return None
        position, limit = sides[0][0], sides[1][1]
        start = around.get(loop.operands[0])
        if position is None or limit is None or start is None or start.opcode != "tuple":
            return None
        first = self._counter(start.operands[position], around)[1]
        step = self._step(body, position)
        return None if first is None or not step else max(math.ceil((limit - first) / step), 0)

    def _counter(self, name: str, computation: Computation) -> tuple[int | None, int | None]:
        """What an integer is: an element of the computation's tuple, by position, or a constant."""
        one = computation[name]
        while one.opcode in ("copy", "bitcast", "convert"):
            one = computation[one.operands[0]]
        if one.opcode == "get-tuple-element":
            return one.numbers("index")[0], None
        return None, int(one.operands[0]) if one.opcode == "constant" else None

    def _step(self, body: Computation, position: int) -> int | None:
        """What a loop's body adds to an element of its tuple."""
        if body.root.opcode != "tuple":
            return None
        total, one = 0, body[body.root.operands[position]]
        while self._adds(one):
            added = [self._counter(name, body)[1] for name in one.operands]
            if added.count(None) != 1:
                return None
            total += sum(filter(None, added))
            one = body[one.operands[added.index(None)]]
        return total if self._counter(one.name, body)[0] == position else None

    def _adds(self, one: Instruction) -> bool:
        return one.opcode == "add" or (
            one.opcode == "fusion" and self.called(one, "calls").root.opcode == "add"
        )


def parse(text: str) -> Program:
    """Reads what `compiled.as_text()` gives.

    Raises:
      ValueError: there is no entry in it.
    """
    computations: dict[str, Computation] = {}
    entry = current = None
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            current = computations[head.group(2)] = Computation()
            entry = current if head.group(1) else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and (found := _INSTRUCTION.match(line)):
            one = _instruction(found.group(2), found.group(3))
            current[one.name] = one
            if found.group(1):
                current.root = one
    if entry is None:
        raise ValueError("expected the text of a compiled program, found none")
    return Program(computations, entry)


def _instruction(name: str, text: str) -> Instruction:
    """Reads 'TYPE opcode(operands), attributes'."""
    end = _closing(text, 0) if text.startswith("(") else text.index(" ")
    kind, rest = text[:end], text[end:].lstrip()
    opcode, _, _ = rest.partition("(")
    end = _closing(rest, len(opcode))
    inner, attributes = rest[len(opcode) + 1 : end - 1], rest[end:]
    operands = _OPERAND.findall(inner) or [inner]
    return Instruction(name, opcode, tuple(_shapes(kind)), tuple(operands), attributes)


def _shapes(text: str) -> Iterator[Shape]:
    for dtype, dims, layout in _SHAPE.findall(text):
        space = _SPACE.search(layout)
        sizes = tuple(int(size.lstrip("<=")) for size in dims.split(",") if size)
        yield Shape(dtype, sizes, int(space.group(1)) if space else 0)


def _closing(text: str, start: int) -> int:
    """The position after the parenthesis that closes the one at `start`."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at + 1
    raise ValueError(f"expected balanced parentheses, found {text[:80]!r}")
