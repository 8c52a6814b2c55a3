"""`python -m fiat_jax.miniature FOLDER` writes the miniature world."""

import sys
from pathlib import Path


def main(words: list[str]) -> int:
    """Writes the world into the one folder that is named."""
    if len(words) != 1 or words[0].startswith("-"):
        print("usage: python -m fiat_jax.miniature FOLDER", file=sys.stderr)
        return 2
    from fiat_jax.miniature.folder import make

    folder = Path(words[0])
    make(folder)
    print(f"{folder}: made data/, reasoner/, tuned/ and miniature.gin")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
