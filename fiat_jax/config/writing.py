"""Settings that were made in Python, as the bindings that make them again."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fiat_jax.config.files import scoped
from fiat_jax.configurables import name_of


def bindings_of(command: str, arguments: Mapping[str, Any]) -> list[str]:
    """The bindings that call a command with some arguments.

    Args:
      command: its name.
      arguments: by parameter: settings of `configurables`, plain values, and containers of both.

    Returns:
      `Name.parameter=value` each, as `parse` takes them.
    """
    return _Writing().written(command, arguments)


class _Writing:
    """Keeps which settings are written already: of one class, a second one gets a scope of its own."""

    def __init__(self) -> None:
        self._made: dict[str, list[Any]] = {}

    def written(self, owner: str, values: Mapping[str, Any]) -> list[str]:
        """The bindings of an owner's parameters, and of all that they refer to."""
        lines: list[str] = []
        for parameter, value in values.items():
            lines.append(f"{owner}.{parameter}={self._said(value, lines)}")
        return lines

    def _said(self, value: Any, lines: list[str]) -> str:
        if name := name_of(type(value)):
            return self._reference(name, value, lines)
        if isinstance(value, dict):
            return f"{{{', '.join(f'{key!r}: {self._said(one, lines)}' for key, one in value.items())}}}"
        if isinstance(value, list | tuple):
            items = "".join(f"{self._said(one, lines)}, " for one in value)
            return f"({items})" if isinstance(value, tuple) else f"[{items}]"
        return repr(value)

    def _reference(self, name: str, value: Any, lines: list[str]) -> str:
        made = self._made.setdefault(name, [])
        known = value in made
        if not known:
            made.append(value)
        number = made.index(value)
        place = scoped(f"other{number}" if number else "", name)
        if not known:
            lines += self.written(place, {one.name: getattr(value, one.name) for one in fields(value)})
        return f"@{place}()"
