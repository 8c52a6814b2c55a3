"""What a command's settings are, read from its source without importing it, so that help comes at once."""

import ast
import importlib.machinery
import importlib.util
import inspect
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from fiat_jax.configurables import COMMANDS, PROTOCOLS, SETTINGS

WIDTH = 100


class Field(NamedTuple):
    """A parameter or a field as it is written; the default is '' where there is none."""

    name: str
    annotation: str
    default: str
    doc: str


def settings_of(command: str) -> str:
    """The parameters of a command and of all settings that it can reach, with types, defaults and meaning."""
    lines = ["parameters, set by --gin.NAME=VALUE or in a gin file:"]
    todo, seen = [command], {command}
    while todo:
        name = todo.pop(0)
        for field in fields_of(COMMANDS[name].place if name in COMMANDS else SETTINGS[name]):
            default = f" = {field.default}" if field.default else "  (required)"
            annotation = re.sub(r"\w+", _kept, field.annotation)
            lines.append(f"  {name}.{field.name}: {annotation}{default}")
            lines += textwrap.wrap(field.doc, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
            used = [word for word in re.findall(r"\w+", annotation) if word in SETTINGS]
            todo += [word for word in used if word not in seen]
            seen.update(used)
    return "\n".join(lines)


def _kept(word: re.Match[str]) -> str:
    """A word of an annotation; in the place of a protocol, the settings that keep it."""
    return " | ".join(PROTOCOLS.get(word[0], (word[0],)))


def fields_of(place: str) -> list[Field]:
    """The parameters of the function, or the fields of the dataclass, at 'module:name'."""
    module, name = place.split(":")
    tree = ast.parse(_source(module).read_text(encoding="utf-8"))
    definitions = {node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    definition = definitions[name]
    if isinstance(definition, ast.FunctionDef):
        return _of_function(definition)
    places = {name: f"{module}:{name}" for name in definitions}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            places |= {alias.asname or alias.name: f"{node.module}:{alias.name}" for alias in node.names}
    return _of_class(definition, places)


def _source(module: str) -> Path:
    """The file of a module, found without importing the packages that it lies in."""
    package, *parts = module.split(".")
    spec = importlib.util.find_spec(package)
    for part in parts:
        folders = spec.submodule_search_locations if spec else None
        spec = importlib.machinery.PathFinder.find_spec(part, folders)
    if spec is None:
        raise ModuleNotFoundError(module)
    return Path(str(spec.origin))


def _of_function(node: ast.FunctionDef) -> list[Field]:
    docs = _docs(node)
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    positional = len(arguments) - len(node.args.kwonlyargs)
    defaults = [None] * (positional - len(node.args.defaults)) + [*node.args.defaults, *node.args.kw_defaults]
    return [
        Field(argument.arg, _text(argument.annotation), _text(default), docs.get(argument.arg, ""))
        for argument, default in zip(arguments, defaults, strict=True)
    ]


def _of_class(node: ast.ClassDef, places: dict[str, str]) -> list[Field]:
    """The fields of a class, after those of this package's classes that it extends."""
    fields: dict[str, Field] = {}
    for base in node.bases:
        place = places.get(_text(base), "")
        if place.startswith("fiat_jax."):
            fields |= {field.name: field for field in fields_of(place)}
    docs = _docs(node)
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            if _text(item.annotation).startswith("ClassVar"):
                continue
            name = item.target.id
            doc = docs.get(name) or (fields[name].doc if name in fields else "")
            fields[name] = Field(name, _text(item.annotation), _default(item.value), doc)
    return list(fields.values())


def _default(node: ast.expr | None) -> str:
    """A field's default; `field(default_factory=dict)` is said as `dict()`."""
    if isinstance(node, ast.Call) and _text(node.func).split(".")[-1] == "field":
        for keyword in node.keywords:
            if keyword.arg == "default_factory":
                return f"{_text(keyword.value)}()"
            if keyword.arg == "default":
                return _text(keyword.value)
        return ""
    return _text(node)


def _text(node: ast.AST | None) -> str:
    return ast.unparse(node) if node else ""


def _docs(node: ast.FunctionDef | ast.ClassDef) -> dict[str, str]:
    """What the docstring says of each argument or attribute, in Google's style."""
    docs: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in inspect.cleandoc(ast.get_docstring(node) or "").splitlines():
        if not line.startswith(" "):
            inside, names = line in ("Args:", "Attributes:"), []
        elif inside and (entry := re.match(r"  (\w[\w, ]*): +(.*)", line)):
            names = entry[1].split(", ")
            docs |= dict.fromkeys(names, entry[2])
        else:
            docs |= {name: f"{docs[name]} {line.strip()}" for name in names}
    return docs
