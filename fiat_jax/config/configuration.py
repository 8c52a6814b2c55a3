"""A command's arguments, built from gin's bindings scope by scope."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import gin

from fiat_jax.config.annotations import describe
from fiat_jax.config.bindings import bind, bound, rebuilt
from fiat_jax.config.checks import check
from fiat_jax.config.files import read, scoped
from fiat_jax.config.wiring import reach
from fiat_jax.configurables import REQUIRED, load, names_in, parameters
from fiat_jax.errors import ConfigError
from fiat_jax.records import write_whole


@dataclass(frozen=True)
class Configuration:
    """What a command is called with.

    Attributes:
      command: its name.
      arguments: the built values, by parameter.
      text: all of it as gin, defaults included; read again, it gives the same configuration.
    """

    command: str
    arguments: Mapping[str, Any]
    text: str

    def run(self) -> Any:
        """Calls the command."""
        return load(self.command)(**self.arguments)

    def save(self, path: str | Path) -> None:
        """Writes the text as a gin file."""
        write_whole(path, self.text)


def parse(
    command: str,
    gin_files: Sequence[str] = (),
    bindings: Sequence[str] = (),
    search_paths: Sequence[str] = (),
) -> Configuration:
    """Reads, checks and builds the configuration of a command.

    Args:
      command: a name in `configurables.COMMANDS`.
      gin_files: files, of which a later one wins over an earlier one.
      bindings: `Name.parameter=value` each, which win over the files.
      search_paths: more folders in which gin files are looked for.

    Raises:
      ConfigError: anything in it is unknown, missing, unused or of the wrong type.
    """
    statements = read(gin_files, bindings, search_paths)
    gin.clear_config()
    checked = check(command, statements)
    for key, value in (checked | reach(command, checked).wires).items():
        bind(key, value)
    return Configuration(command, _arguments(command, scope=""), gin.config_str())


def _arguments(name: str, scope: str) -> dict[str, Any]:
    """The arguments of a setting or command in a scope. Defaults are bound too, so the text shows them."""
    found, arguments = bound(name, scope), {}
    for parameter, (annotation, default) in parameters(name).items():
        if parameter in found:
            arguments[parameter] = _build(found[parameter], scope)
            continue
        if default is REQUIRED:
            raise _missing(scoped(scope, name, parameter), annotation)
        arguments[parameter] = default
        if not is_dataclass(default):
            bind((scope, name, parameter), default)
    return arguments


def _build(value: Any, scope: str) -> Any:
    if isinstance(value, gin.config.ConfigurableReference):
        return load(value.selector)(**_arguments(value.selector, "/".join(value.scopes) or scope))
    return rebuilt(value, lambda item: _build(item, scope))


def _missing(target: str, annotation: Any) -> ConfigError:
    choices = names_in(annotation)
    value = f"@{choices[0]}()" if choices else "..."
    return ConfigError(
        f"{target} is required and not set: expected {describe(annotation)}; "
        f"give --gin.{target}={value} or write {target} = {value} in a gin file."
    )
