"""What can go wrong, and the exit code that says so to a script.

Every error a user can cause is one of these and carries one sentence: what was expected, what was found
(file, line, field) and what to do. `fiat` prints that sentence and exits with the code of its class.
"""

import difflib
from collections.abc import Iterable


class FiatError(Exception):
    """A failure that the user can understand and act on."""

    exit_code = 1


class ConfigError(FiatError):
    """A usage or configuration error: an unknown name, a wrong type, a path that is not there."""

    exit_code = 2


class DataError(FiatError):
    """Rows, rationales or weights that are not what they should be, or a leak between splits."""

    exit_code = 3


class NonFiniteError(FiatError):
    """The loss or a gradient became NaN or infinite."""

    exit_code = 4


class BudgetReached(FiatError):
    """The calls or the money that a run may use are used; it goes on when started again."""

    exit_code = 5


class InterruptedRun(FiatError):
    """The run was asked to stop, has saved what it had, and resumes when started again."""

    exit_code = 75


class UnreachableHosts(FiatError):
    """The processes of a job have not found each other in time."""

    exit_code = 69


class LostProcess(FiatError):
    """Another process of the job has died or failed; the job goes on when all are started again."""

    exit_code = 75


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the known one that is closest, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(found, known, n=1)
    lower = [name for name in known if name.lower() == found.lower()]
    if lower or close:
        return f"did you mean {(lower or close)[0]!r}?"
    return f"known are {', '.join(known)}." if known else "none is known."
