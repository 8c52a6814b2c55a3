"""`fiat`: one command a verb. Here flags become a configuration, and failures a sentence and an exit code.

Importing this costs nothing: what a command needs is imported when it runs.
"""

import argparse
import importlib
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NoReturn

from fiat_jax.configurables import COMMANDS, verbs
from fiat_jax.errors import ConfigError, FiatError, did_you_mean
from fiat_jax.paths import cache

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

DISTRIBUTED = "--distributed"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `fiat`.

    Args:
      argv: the arguments after the program's name; by default those of this process.

    Returns:
      The exit code: see `fiat_jax.errors`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    code = _run(words)
    if DISTRIBUTED in words:
        importlib.import_module("fiat_jax.parallel.hosts").leave(code)
    return code


def _run(words: list[str]) -> int:
    """Runs a command, says what went wrong, and returns the exit code."""
    command, known = words[0] if words else "--help", verbs()
    try:
        if command in ("-h", "--help"):
            _show(_overview())
        elif command == "--version":
            _show(f"fiat {importlib.import_module('fiat_jax').__version__}")
        elif command not in known:
            raise ConfigError(f"expected a command, found {command!r}; {did_you_mean(command, known)}")
        else:
            _command(known[command], words[1:])
    except FiatError as error:
        name = f"fiat {command}" if command in known else "fiat"
        print(f"{name}: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"fiat {command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        return FiatError.exit_code
    return 0


def _show(text: str) -> None:
    """Prints; a reader that closes early, such as `head`, is no failure."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _overview() -> str:
    rows = [f"  {verb:<10} {COMMANDS[name].help}" for verb, name in verbs().items()]
    return "\n".join(
        [
            "usage: fiat COMMAND [--gin_file FILE] [--gin.NAME=VALUE] [flags]",
            "",
            "Tunes a small T5 on what a large model reasons (FIAT).",
            "",
            "commands, in the order of a first use:",
            *rows,
            "",
            "`fiat COMMAND --help` lists a command's flags and all that can be set.",
        ]
    )


def _command(command: str, words: Sequence[str]) -> None:
    """Runs one command with its flags."""
    parser = _Parser(command)
    bindings = [word.removeprefix("--gin.") for word in words if word.startswith("--gin.")]
    flags, unknown = parser.parse_known_args([word for word in words if not word.startswith("--gin.")])
    if flags.help:
        from fiat_jax.cli.help import settings_of

        _show(f"{parser.format_help()}\n{settings_of(command)}")
        return
    for binding in bindings:
        if "=" not in binding:
            raise ConfigError(
                f"--gin.{binding}: expected --gin.{binding}=VALUE, with no blank before the value."
            )
    if unknown:
        known = [*parser.flags(), "--gin.NAME=VALUE"]
        raise ConfigError(f"expected a flag, found {unknown[0]!r}; {did_you_mean(unknown[0], known)}")
    _quiet(flags.verbose)
    _keep_compiled()
    _import_modules(flags.module)
    _configure_and_run(command, flags, bindings)


def _configure_and_run(command: str, flags: argparse.Namespace, bindings: list[str]) -> None:
    from fiat_jax.config import parse

    files, role = flags.gin_file, COMMANDS[command].run_dir
    if role and flags.run_dir:
        bindings = [*bindings, f"{command}.run_dir={flags.run_dir!r}"]
        if role == "reads":
            from fiat_jax.config.runs import saved

            files = [saved(flags.run_dir), *files]
    bindings = [*bindings, *_of_flags(command, flags)]
    search_paths = [path for paths in flags.gin_search_paths for path in paths.split(",")]
    configuration = parse(command, files, bindings, search_paths)
    if flags.dry_run:
        _show(configuration.text.rstrip())
        if "dry_run" not in COMMANDS[command].flags:
            return
    with _job(command, flags):
        if role == "starts":
            from fiat_jax.cli.runfolder import start

            start(configuration.arguments["run_dir"], configuration)
        configuration.run()


def _of_flags(command: str, flags: argparse.Namespace) -> list[str]:
    """The bindings that those flags mean which are parameters."""
    given = {name: getattr(flags, name) for name in COMMANDS[command].flags}
    return [
        f"{command}.{name}={tuple(value) if isinstance(value, list) else value!r}"
        for name, value in given.items()
        if value is not None and value is not False and value != []
    ]


def _job(command: str, flags: argparse.Namespace) -> AbstractContextManager[None]:
    """The job that this process is one of, or none."""
    if not (COMMANDS[command].joins and flags.distributed):
        return nullcontext()
    from fiat_jax.parallel.hosts import joined

    return joined(f"fiat {command}", flags.join_timeout, flags.heartbeat_timeout, command == "train")


def _import_modules(modules: Sequence[str]) -> None:
    """Imports modules of the user's, which may lie where the command runs."""
    if modules and "" not in sys.path:
        sys.path.insert(0, "")
    for name in modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise ConfigError(
                f"--module: expected a Python module, found none named {name!r} here or installed; "
                "write it without .py, with dots between folders."
            ) from None


def _quiet(verbose: bool) -> None:
    """Shows what fiat_jax says, and of the libraries under it only what has gone wrong."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(format="%(message)s", level=logging.INFO if verbose else logging.WARNING)
    logging.getLogger("fiat_jax").setLevel(logging.DEBUG if verbose else logging.INFO)
    if verbose:
        return
    for name, value in {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR"}.items():
        os.environ.setdefault(name, value)
    logging.getLogger("absl").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _keep_compiled() -> None:
    """Keeps compiled programs, so that the next command of the same shapes starts at once."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache("xla")))


class _Parser(argparse.ArgumentParser):
    """The flags of a command; what is wrong with them is a ConfigError, like all else that is configured."""

    def __init__(self, command: str) -> None:
        entry = COMMANDS[command]
        verb = entry.verb or command
        super().__init__(
            prog=f"fiat {verb}",
            usage=f"fiat {verb} [--gin_file FILE] [--gin.NAME=VALUE] [flags]",
            description=f"{entry.help[0].upper()}{entry.help[1:]}.",
            add_help=False,
            allow_abbrev=False,
        )
        add, several = self.add_argument, partial(self.add_argument, action="append", default=[])
        several("--gin_file", metavar="FILE", help="read settings from a gin file; may be given again")
        several("--gin_search_paths", metavar="DIR,DIR", help="look for gin files in these folders too")
        several("--module", metavar="NAME", help="import a Python module of yours first")
        if entry.run_dir:
            reads = "; its config.gin is read first" if entry.run_dir == "reads" else ""
            add("--run_dir", metavar="DIR", help=f"the run folder, short for --gin.{command}.run_dir{reads}")
        if entry.joins:
            add(DISTRIBUTED, action="store_true", help="be one process of a job on several hosts")
            seconds = partial(add, metavar="SECONDS", type=int)
            seconds("--join_timeout", default=600, help="wait so long for the others to start (600)")
            seconds("--heartbeat_timeout", default=60, help="give up a silent one after so long (60)")
        self._add_parameters(command)
        add("--dry_run", action="store_true", help="check and print the configuration, and stop")
        add("-v", "--verbose", action="store_true", help="show what the libraries say too")
        add("-h", "--help", action="store_true", help="show this and all that can be set, and stop")

    def _add_parameters(self, command: str) -> None:
        """Adds the flags that are parameters of the command, as its source has them."""
        from fiat_jax.cli.help import fields_of

        entry = COMMANDS[command]
        for field in fields_of(entry.place) if entry.flags else ():
            if field.name not in entry.flags or field.name == "dry_run":
                continue
            kind, names = field.annotation.split(" | ")[0], sorted({field.name, field.name.replace("_", "-")})
            options: dict[str, Any] = {"dest": field.name, "help": field.doc.replace("%", "%%")}
            if kind == "bool":
                options["action"] = "store_true"
            elif kind.startswith("tuple"):
                options |= {"action": "append", "default": [], "metavar": "VALUE"}
            else:
                options |= {"type": {"int": int, "float": float}.get(kind, str), "metavar": "VALUE"}
            self.add_argument(*(f"--{name}" for name in reversed(names)), **options)

    def flags(self) -> list[str]:
        """All flags by name."""
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see {self.prog} --help.")
