"""The little that is asked of gin itself: to keep bindings and their scopes."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import gin

from fiat_jax.config.files import scoped
from fiat_jax.configurables import load

Key = tuple[str, str, str]
"""Scope, name and parameter of a binding."""


def bind(key: Key, value: Any) -> None:
    """Gives gin the value of a parameter."""
    _register(load(key[1]), key[1])
    gin.bind_parameter(key, value)


def bound(name: str, scope: str) -> dict[str, Any]:
    """What is bound for a setting or command in a scope and in those around it; references stay."""
    _register(load(name), name)
    return gin.get_bindings(scoped(scope, name), resolve_references=False)


def reference(name: str, scope: str = "") -> Any:
    """Gin's reference to a setting, which also knows the class that it promises."""
    _register(load(name), name)
    made = gin.config.ConfigurableReference(scoped(scope, name), True)
    made.promised = load(name)
    return made


def references(value: Any) -> Iterator[Any]:
    """All references in a value."""
    return gin.config.iterate_references(value)


def rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    """A container with its items changed, or the value itself."""
    if isinstance(value, dict):
        return {change(key): change(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(change, value))
    return value


@cache
def _register(target: Callable[..., Any], name: str) -> None:
    gin.external_configurable(target, name=name)
