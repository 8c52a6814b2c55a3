"""`python -m fiat_jax.miniature.pretrain FOLDER` makes the two models of the miniature world anew.

They come with the package, in fiat_jax/miniature/models, where SHA256SUMS says what is in each file.
"""

import hashlib
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

from fiat_jax.miniature.folder import NAMES
from fiat_jax.miniature.language import LEXICONS
from fiat_jax.miniature.lessons import LESSONS
from fiat_jax.miniature.world import REASON, TEMPLATE, Row

STEPS = {"reasoner": (2000,), "tuned": (2000, 600)}
"""Updates of each course."""

COUNT = 30_000
"""Different lessons of a course."""

_EVERY = 200  # steps between two lines


def main(words: list[str]) -> int:
    """Makes the models in the one folder that is named."""
    if len(words) != 1 or words[0].startswith("-"):
        print("usage: python -m fiat_jax.miniature.pretrain FOLDER", file=sys.stderr)
        return 2
    folder = Path(words[0])
    for name in NAMES:
        rebuild(folder, name, STEPS[name], COUNT)
    sums = checksums(folder)
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(sums, end="")
    return 0


def rebuild(folder: Path, name: str, steps: tuple[int, ...], count: int) -> None:
    """Makes one model: its vocabulary, random weights, and pretraining.

    Args:
      folder: gets the model in a folder of its name.
      name: of `NAMES`.
      steps: updates of each course.
      count: lessons of each.
    """
    from fiat_jax.miniature.model import make_model, pretrain, shrink_unread, write_vocabulary

    courses = [list(course(count)) for course in LESSONS[name]]
    lessons = list(itertools.chain(*courses))
    make_model(folder / name, name, write_vocabulary(folder / name, _texts(lessons)))
    for number, (course, its_steps) in enumerate(zip(courses, steps, strict=True), start=1):
        for step, loss in enumerate(pretrain(folder / name, course, its_steps), start=1):
            if step % _EVERY == 0 or step == its_steps:
                done = f"course {number}, step {step} of {its_steps}"
                print(f"{folder / name}: {done}, loss {loss:.3f}", flush=True)
    if name == "tuned":
        shrink_unread(folder / name, lessons)


def checksums(folder: Path) -> str:
    """The SHA-256 of each file of the models, as `sha256sum` writes and checks it."""
    paths = sorted(path for name in NAMES for path in (folder / name).iterdir())
    sums = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    return "".join(f"{digest}  {path.relative_to(folder).as_posix()}\n" for path, digest in sums.items())


def _texts(lessons: Iterable[Row]) -> Iterable[str]:
    """Texts that have all words of the world, and of the lessons of a model."""
    yield from (" ".join(lexicon.values()) for lexicon in LEXICONS.values())
    yield from (TEMPLATE.instruction, REASON)
    for row in lessons:
        yield from (row["text"], row["answer"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
