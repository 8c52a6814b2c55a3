"""Tasks of gin files, in Python as on the command line."""

from collections.abc import Sequence
from typing import cast

from fiat_jax.config.configuration import parse
from fiat_jax.data.tasks import Task


def load_task(gin_files: str | Sequence[str], *bindings: str, search_paths: Sequence[str] = ()) -> Task:
    """Builds the task that gin files set, such as a recipe and a model.

    `fiat_jax.register` then makes it known to seqio. What this process has bound in gin itself is replaced.

    Args:
      gin_files: one, or several of which a later one wins over an earlier one; those that come with the
        package are named as 'recipes/xquad.gin'.
      *bindings: `Name.parameter=value` each, such as 'Task.vocabulary=byte', which win over the files.
      search_paths: more folders in which gin files are looked for.

    Raises:
      ConfigError: a file is not there, or something in it is unknown, missing or of the wrong type.
    """
    files = [gin_files] if isinstance(gin_files, str) else gin_files
    return cast(Task, parse("Task", files, bindings, search_paths).run())
