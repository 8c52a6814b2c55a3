"""The report of a sweep, written into its folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fiat_jax.records import write_whole
from fiat_jax.study.charts import WIDE
from fiat_jax.study.comparing.report.ablations import ablations
from fiat_jax.study.comparing.report.beside_paper import beside_paper
from fiat_jax.study.comparing.report.blocks import Items, Picture, Section, Text
from fiat_jax.study.comparing.report.by_language import by_language
from fiat_jax.study.comparing.report.costs import costs
from fiat_jax.study.comparing.report.examples import examples
from fiat_jax.study.comparing.report.found import Found
from fiat_jax.study.comparing.report.html import write_html
from fiat_jax.study.comparing.report.markdown import PICTURES, write_markdown
from fiat_jax.study.comparing.report.scores import scores
from fiat_jax.study.comparing.report.settings import settings
from fiat_jax.study.comparing.report.tests import tests
from fiat_jax.study.comparing.report.verdict import verdict
from fiat_jax.study.comparing.results import read_comparison
from fiat_jax.study.statistics import RESAMPLES

PARTS = (verdict, scores, by_language, ablations, tests, examples, costs, settings, beside_paper)
"""The sections, in their order."""


class Report(NamedTuple):
    """A report as it was written.

    Attributes:
      page: its path.
      verdict: the answer in a sentence, then what it rests on, a sentence each.
    """

    page: Path
    verdict: tuple[str, ...]


def write_report(folder: Path, resamples: int = RESAMPLES) -> Report:
    """Writes report.html, report.md and pictures/*.svg of a sweep, finished or not.

    What is not there yet is named. Nothing but the files of the sweep is read.

    Args:
      folder: of the sweep, with study.json and results/.
      resamples: of intervals and tests; many comparisons take more.

    Raises:
      DataError: it is no such folder, or a file is not as it was written.
    """
    found = Found(read_comparison(folder), resamples)
    sections = [section for part in PARTS if (section := part(found)).blocks]
    title = f"{found.study.task}: which paradigm, with how many examples"
    _write_pictures(folder / PICTURES, sections)
    write_markdown(folder / "report.md", title, sections)
    page = folder / "report.html"
    write_html(page, title, sections)
    return Report(page, tuple(_sentences(sections[0])))


def _sentences(section: Section) -> Iterator[str]:
    """What a section begins with, down to the first block that is no sentence."""
    for block in section.blocks:
        if isinstance(block, Items):
            yield from block.sentences
        elif isinstance(block, Text) and block.strong:
            yield block.text
        else:
            return


def _write_pictures(folder: Path, sections: list[Section]) -> None:
    folder.mkdir(exist_ok=True)
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Picture):
                write_whole(folder / f"{block.name}.svg", block.draw(WIDE))
