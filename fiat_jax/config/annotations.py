"""Values against type annotations: whether a parameter may take a value, and how an annotation is said."""

import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin, runtime_checkable

from fiat_jax.configurables import is_protocol, name_of, names_in


@runtime_checkable
class Promise(Protocol):
    """A value that is made later, of a class that is known now."""

    promised: type


class Mismatch(Exception):
    """A value does not fit an annotation."""


def conform(value: Any, annotation: Any) -> Any:
    """The value as an annotation wants it: an int for a float becomes a float, a list for a tuple a tuple.

    Args:
      value: a Python value; its containers may hold promises.
      annotation: a resolved annotation, as `typing.get_type_hints` gives it.

    Raises:
      Mismatch: the value does not fit.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return value
    if origin is Annotated:
        return conform(value, arguments[0])
    if origin in (Union, types.UnionType):
        return _conform_any(value, arguments)
    if origin is Literal:
        return _require(value, any(value == one and type(value) is type(one) for one in arguments))
    if is_protocol(annotation):
        return _require(value, isinstance(value, Promise) and name_of(value.promised) in names_in(annotation))
    cls = origin or annotation
    if isinstance(value, Promise):
        return _require(value, issubclass(value.promised, cls))
    if cls is tuple:
        return _conform_tuple(value, arguments)
    if cls in (dict, Mapping):
        of_key, of_item = arguments or (Any, Any)
        pairs = _require(value, isinstance(value, dict)).items()
        return {conform(key, of_key): conform(item, of_item) for key, item in pairs}
    if cls in (list, Sequence, Iterable):
        items = _require(value, isinstance(value, (list, tuple)))
        return type(items)(conform(item, *(arguments or (Any,))) for item in items)
    if cls is float and type(value) is int:
        return float(value)
    return _require(value, isinstance(value, cls) and not (cls is int and isinstance(value, bool)))


def describe(annotation: Any) -> str:
    """An annotation as one would write it, a protocol as the settings that keep it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if is_protocol(annotation):
        return " | ".join(names_in(annotation))
    if origin is Literal:
        return " | ".join(map(repr, arguments))
    if origin in (Union, types.UnionType):
        return " | ".join(map(describe, arguments))
    if origin is Annotated:
        return describe(arguments[0])
    if origin:
        return f"{origin.__name__}[{', '.join('...' if one is ... else describe(one) for one in arguments)}]"
    return "None" if annotation is types.NoneType else getattr(annotation, "__name__", str(annotation))


def _require(value: Any, fits: bool) -> Any:
    if not fits:
        raise Mismatch
    return value


def _conform_any(value: Any, choices: Iterable[Any]) -> Any:
    """The value under the first annotation that takes it as it is, else under the first that takes it."""
    taken = []
    for choice in choices:
        try:
            taken.append(conform(value, choice))
        except Mismatch:
            continue
    _require(value, bool(taken))
    return next((one for one in taken if type(one) is type(value) and one == value), taken[0])


def _conform_tuple(value: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    items = _require(value, isinstance(value, (list, tuple)))
    if not arguments:
        return tuple(items)
    if len(arguments) == 2 and arguments[1] is ...:
        arguments = (arguments[0],) * len(items)
    _require(value, len(items) == len(arguments))
    return tuple(conform(item, one) for item, one in zip(items, arguments, strict=True))
