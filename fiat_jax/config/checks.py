"""Statements into bindings: every name must exist, every value fit, and nothing be set in vain."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fiat_jax.config.annotations import Mismatch, Promise, conform, describe
from fiat_jax.config.bindings import Key, rebuilt, reference
from fiat_jax.config.files import Macro, Reference, Statement
from fiat_jax.config.wiring import reach
from fiat_jax.configurables import COMMANDS, SETTINGS, names, names_in, parameters
from fiat_jax.errors import ConfigError, did_you_mean


def check(command: str, statements: Sequence[Statement]) -> dict[Key, Any]:
    """The bindings that statements make: macros put in, types right, the last one of a parameter.

    Raises:
      ConfigError: a name, parameter or macro is unknown, a value does not fit, or nothing uses what is set.
    """
    macros = _macros(statements)
    assignments = [statement for statement in statements if statement.parameter]
    values = [_checked(statement, macros) for statement in assignments]
    bindings = _bindings(assignments, values)
    used = _used(command, bindings)
    _check_use(command, assignments, values, used)
    return {key: value for key, value in bindings.items() if key[1] in used}


def _bindings(assignments: Iterable[Statement], values: Iterable[Any]) -> dict[Key, Any]:
    return {
        (one.scope, one.name, one.parameter): value for one, value in zip(assignments, values, strict=False)
    }


def _used(command: str, bindings: Mapping[Key, Any]) -> set[str]:
    """What some command uses of what is bound, and the commands; others are asked only if they must be."""
    used, bound = set(COMMANDS), {name for _, name, _ in bindings}
    for verb in (command, *COMMANDS):
        if bound <= used:
            break
        used |= reach(verb, bindings).names
    return used


def _macros(statements: Iterable[Statement]) -> dict[str, Statement]:
    """The macros by name; the last definition wins."""
    macros = {statement.target: statement for statement in statements if not statement.parameter}
    used = {macro.name: statement.where for statement in statements for macro in statement.mentions(Macro)}
    for name, statement in macros.items():
        if name not in used:
            hint = did_you_mean(name, used) if used else f"a parameter is written Name.{name}."
            raise ConfigError(f"{statement.where}: {name} is defined, but nothing reads %{name}; {hint}")
    for name, where in used.items():
        if name not in macros:
            raise ConfigError(f"{where}: %{name} is not defined; {did_you_mean(name, macros)}")
    return macros


def _checked(statement: Statement, macros: Mapping[str, Statement]) -> Any:
    """The value that a statement binds, with macros put in and of the type that the parameter asks for."""
    where, name, parameter = statement.where, statement.name, statement.parameter
    if name not in names():
        raise ConfigError(f"{where}: {name!r} is not a setting or command; {did_you_mean(name, names())}")
    known = parameters(name)
    if parameter not in known:
        raise ConfigError(f"{where}: {name} has no parameter {parameter!r}; {did_you_mean(parameter, known)}")
    value = _resolve(statement.value, macros, where)
    annotation = known[parameter].annotation
    try:
        return conform(value, annotation)
    except Mismatch:
        wanted = f"{describe(annotation)} for {statement.target}"
        found = repr(value) if isinstance(value, Promise) else f"{value!r} ({type(value).__name__})"
        raise ConfigError(f"{where}: expected {wanted}, found {found}.") from None


def _resolve(value: Any, macros: Mapping[str, Statement], where: str, inside: tuple[str, ...] = ()) -> Any:
    """The value with macros replaced by what they stand for, and references by gin's."""
    if isinstance(value, Macro):
        if value.name in inside:
            raise ConfigError(f"{macros[value.name].where}: %{value.name} is defined by itself.")
        return _resolve(macros[value.name].value, macros, where, (*inside, value.name))
    if isinstance(value, Reference):
        if value.name not in SETTINGS:
            raise ConfigError(f"{where}: {value} is not a setting; {did_you_mean(value.name, SETTINGS)}")
        if not value.called:
            raise ConfigError(f"{where}: expected {value}(), found {value} without its parentheses.")
        return reference(value.name, value.scope)
    return rebuilt(value, lambda item: _resolve(item, macros, where, inside))


def _check_use(
    command: str, assignments: Sequence[Statement], values: Sequence[Any], used: Collection[str]
) -> None:
    """Refuses a setting that is unused once it is said, and stays so.

    A later statement may put it aside, as a flag does to what a file says; so this looks back from the end.
    """
    ever = set(used)
    for number in range(len(assignments), 0, -1):
        statement, so_far = assignments[number - 1], assignments[:number]
        if {one.name for one in so_far} <= ever:
            return
        ever |= _used(command, _bindings(so_far, values))
        if statement.name not in ever:
            raise _in_vain(statement, command, _bindings(assignments, values))


def _in_vain(statement: Statement, command: str, bindings: Mapping[Key, Any]) -> ConfigError:
    taker = next(_takers(statement.name, command, bindings), None)
    hint = f"write {taker} = @{statement.name}()" if taker else "take it out"
    where, name = statement.where, statement.name
    return ConfigError(f"{where}: {statement.target} is set, but nothing uses {name}; {hint}.")


def _takers(name: str, command: str, bindings: Mapping[Key, Any]) -> Iterator[str]:
    """The parameters that could be set to a setting."""
    for user in sorted(reach(command, bindings).names):
        for parameter, (annotation, _) in parameters(user).items():
            if name in names_in(annotation):
                yield f"{user}.{parameter}"
