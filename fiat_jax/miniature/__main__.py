"""`python -m fiat_jax.miniature FOLDER` makes the miniature world."""

import contextlib
import io
import sys
from pathlib import Path

STEPS = 600
"""Of pretraining, after which it copies nearly all that is marked."""


def main(words: list[str]) -> int:
    """Makes the world in the one folder that is named."""
    if len(words) != 1 or words[0].startswith("-"):
        print("usage: python -m fiat_jax.miniature FOLDER", file=sys.stderr)
        return 2
    folder = Path(words[0])
    print(f"{folder}: making data and a tiny T5, {STEPS} steps of pretraining", flush=True)
    from fiat_jax.miniature.folder import make  # heavy: the line above comes first

    terminal = sys.stderr.isatty()  # a bar there; a line a step would drown what comes after
    with contextlib.nullcontext() if terminal else contextlib.redirect_stderr(io.StringIO()):
        make(folder, STEPS)
    print(f"{folder}: made data/, model/ and miniature.gin")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
