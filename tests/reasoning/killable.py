"""An annotation in a process of its own, which is killed or told to stop: both sides of it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fiat_jax.errors import FiatError

KEY = "sk-never-to-be-seen-again"


class Process:
    """A script of this folder, run; what it says goes to a file, so that no full pipe can hold it up.

    Args:
      script: the file's name.
      words: its arguments.
      key: the environment variable that holds KEY.
      log: the file that gets what it says.
    """

    def __init__(self, script: str, words: list[str], key: str, log: Path) -> None:
        self._log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name(script)), *words],
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), key: KEY},
                stdout=file,
                stderr=file,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        return self.process.wait(timeout=60)

    @property
    def output(self) -> str:
        return self._log.read_text()


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def exit_code(annotation: Callable[[], object]) -> int:
    """Prints what an annotation comes to, and gives the code that the command would end with."""
    try:
        print(annotation())
    except FiatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        print(error, file=sys.stderr)
        return 130
    return 0
