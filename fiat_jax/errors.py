"""What can go wrong, and the exit code that says so to a script.

Every error a user can cause is one of these and carries one sentence: what was expected, what was found
(file, line, field) and what to do. `fiat` prints that sentence and exits with the code of its class.
"""


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


class BudgetError(FiatError):
    """A budget was reached; the same command with a larger one goes on from here."""

    exit_code = 5


class InterruptedRun(FiatError):
    """The run was asked to stop, has saved what it had, and resumes when started again."""

    exit_code = 75
