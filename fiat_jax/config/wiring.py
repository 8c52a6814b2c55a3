"""What a command uses, and what is meant although no statement says it.

A parameter that can only be one setting is wired to it, so that `train.experiment = @Experiment()` need not
be written.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fiat_jax.config.bindings import Key, reference, references
from fiat_jax.configurables import REQUIRED, Parameter, name_of, parameters


class Reach(NamedTuple):
    """What a command uses.

    Attributes:
      names: the settings and the command itself.
      wires: references for parameters that no statement binds and that can only be one setting.
    """

    names: set[str]
    wires: dict[Key, Any]


def reach(command: str, bindings: Mapping[Key, Any]) -> Reach:
    """Follows the references from a command, those of bindings and those that are wired."""
    found, todo = Reach(set(), {}), [command]
    while todo:
        name = todo.pop()
        if name in found.names:
            continue
        found.names.add(name)
        for parameter, info in parameters(name).items():
            wire = _only_setting(info)
            if wire and ("", name, parameter) not in bindings:
                found.wires["", name, parameter] = reference(wire)
                todo.append(wire)
        for (_, owner, _), value in bindings.items():
            if owner == name:
                todo += [used.selector for used in references(value)]
    return found


def _only_setting(info: Parameter) -> str | None:
    """The setting that a parameter must be if it is required, or is by default."""
    if info.default is REQUIRED:
        return name_of(info.annotation)
    name = name_of(type(info.default))
    if name is None:
        return None
    usual = parameters(name).items()
    return name if all(getattr(info.default, field) == value.default for field, value in usual) else None
