"""Gin files and command-line bindings, read into statements. Nothing is imported, called or bound here."""

import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from gin import config_parser

from fiat_jax.errors import ConfigError, did_you_mean
from fiat_jax.paths import at, is_remote, reason

MAX_INCLUDES = 2
"""How deep includes may go: a run includes a recipe, a recipe includes a model, and that is all."""


def _shipped() -> Path:
    """The folder of the gin files that come with the package: in an installed wheel, or in a checkout."""
    here = Path(__file__).resolve().parents[1]
    installed = here / "gin_configs"
    return installed if installed.is_dir() else here.parent / "gin_configs"


SHIPPED = _shipped()


def scoped(scope: str, name: str, parameter: str = "") -> str:
    """`scope/Name.parameter`, as gin writes it."""
    return f"{scope}{'/' if scope else ''}{name}{'.' if parameter else ''}{parameter}"


@dataclass(frozen=True)
class Reference:
    """`@scope/Name()`, a setting that is built where it stands; without the parentheses it is not called."""

    scope: str
    name: str
    called: bool

    def __repr__(self) -> str:
        return f"@{scoped(self.scope, self.name)}{'()' if self.called else ''}"


@dataclass(frozen=True)
class Macro:
    """`%NAME`, the value that NAME was given."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True)
class Statement:
    """`scope/Name.parameter = value`; a macro's definition has no parameter.

    Attributes:
      where: file and line, or the flag, for messages.
    """

    scope: str
    name: str
    parameter: str
    value: Any
    where: str

    @property
    def target(self) -> str:
        """What is set, as it was written."""
        return scoped(self.scope, self.name, self.parameter)

    def mentions(self, kind: type) -> Iterator[Any]:
        """All references or macros in the value."""
        return _within(self.value, kind)


def read(files: Sequence[str], bindings: Sequence[str], search_paths: Sequence[str]) -> list[Statement]:
    """Reads gin files in order, then bindings such as `train.steps=10`, so that the later wins.

    A file is looked for where the command runs (an include: beside the file that includes it), then in the
    search paths, then among the files that come with the package.

    Raises:
      ConfigError: a file is not there, is not gin, imports Python, or includes too deep.
    """
    statements: list[Statement] = []
    for name in files:
        path = _find(name, (Path(), *map(at, search_paths)), where="--gin_file")
        statements += _read_file(path, search_paths, depth=0)
    for binding in bindings:
        statements.append(_read_binding(binding))
    return statements


def _find(name: str, folders: Sequence[Path], where: str) -> Path:
    places = (folder / Path(name).expanduser() for folder in (*folders, SHIPPED))
    for path in [at(name)] if is_remote(name) else places:
        if path.is_file():
            return path
    shipped = [str(path.relative_to(SHIPPED)) for path in sorted(SHIPPED.rglob("*.gin"))]
    raise ConfigError(
        f"{where}: expected a gin file {name!r}, found none here, in --gin_search_paths or in fiat_jax; "
        f"{did_you_mean(name, shipped)}"
    )


def _read_file(path: Path, search_paths: Sequence[str], depth: int) -> Iterator[Statement]:
    with _open(path) as file:
        for statement in _parse(file, str(path)):
            where = f"{path}:{statement.location.line_num}"
            if isinstance(statement, config_parser.ImportStatement):
                raise ConfigError(
                    f"{where}: expected no import, since a gin file must not run code, found "
                    f"{statement.format()!r}; give --module {statement.module} on the command line instead."
                )
            if isinstance(statement, config_parser.IncludeStatement):
                if depth == MAX_INCLUDES:
                    raise ConfigError(
                        f"{where}: expected includes at most {MAX_INCLUDES} deep, found one more "
                        f"({statement.filename!r}); include it from the file that you run."
                    )
                folders = (path.parent, *map(at, search_paths))
                yield from _read_file(_find(statement.filename, folders, where), search_paths, depth + 1)
            elif isinstance(statement, config_parser.BindingStatement):
                yield _statement(statement, where)


def _open(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: expected a gin file, but {reason(error)}; check the path.") from None


def _read_binding(binding: str) -> Statement:
    """Reads `Name.parameter=value`; what is no Python literal, `%macro` or `@Reference()` is a string."""
    name, _, value = binding.partition("=")
    try:
        return _only_statement(f"{name} = {value}", where=f"--gin.{name}")
    except ConfigError:
        if value.startswith(("@", "%")):
            raise
    return _only_statement(f"{name} = {value!r}", where=f"--gin.{name}")


def _only_statement(text: str, where: str) -> Statement:
    statements = list(_parse(text, where))
    if len(statements) != 1 or not isinstance(statements[0], config_parser.BindingStatement):
        raise ConfigError(f"{where}: expected --gin.Name.parameter=value, found {text!r}.")
    return _statement(statements[0], where)


def _parse(source: str | TextIO, where: str) -> Iterator[Any]:
    """Gin's own statements.

    Raises:
      ConfigError: the source is not gin.
    """
    try:
        yield from config_parser.ConfigParser(source, _Delegate())
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError, ValueError) as error:
        raise _not_gin(error, where) from None


def _not_gin(error: Exception, where: str) -> ConfigError:
    reason, line, text = str(error), None, ""
    if isinstance(error, SyntaxError):
        reason, line, text = error.msg, error.lineno, error.text or ""
    elif isinstance(error, tokenize.TokenError):
        reason, (line, _) = error.args
    at = f"{where}:{line}" if line and not where.startswith("--") else where
    found = f" in {text.strip()!r}" if text.strip() else ""
    reason = " ".join(reason.split())
    return ConfigError(f"{at}: expected gin such as Task.name = 'mine', found {reason!r}{found}.")


def _statement(binding: config_parser.BindingStatement, where: str) -> Statement:
    return Statement(binding.scope, binding.selector, binding.arg_name, binding.value, where)


def _within(value: Any, kind: type) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, dict):
        yield from _within([*value, *value.values()], kind)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _within(item, kind)


class _Delegate(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_selector: str, evaluate: bool) -> Reference:
        scope, _, name = scoped_selector.rpartition("/")
        return Reference(scope, name, evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)
