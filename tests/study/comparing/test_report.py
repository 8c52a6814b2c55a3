"""A report says what was found and how sure that is, whatever the sweep has."""

import re
from dataclasses import replace

import pytest

from fiat_jax.study.comparing.report import write_report
from study.comparing.made_up_sweep import MadeUp

SMALL = MadeUp(examples=20, sizes=(100, 800), seeds=(0, 1, 2), languages=("hau", "yor"))
FEW = 400
"""Resamples: enough for the families that are this small."""


def written(folder, made_up, resamples=FEW):
    """The page and the Markdown."""
    made_up.write(folder)
    return again(folder, resamples)


def again(folder, resamples=FEW):
    page = write_report(folder, resamples)
    return page.read_text(encoding="utf-8"), (folder / "report.md").read_text(encoding="utf-8")


def plain(text):
    """A page or Markdown as the words that it has."""
    text = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", text.replace("<br>", " "))
    text = re.sub(r"\\(.)", r"\1", text)
    for name, letter in (("lt", "<"), ("gt", ">"), ("#x27", "'"), ("quot", '"'), ("amp", "&")):
        text = text.replace(f"&{name};", letter)
    return text


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    return folder, *written(folder, SMALL)


def verdict_of(markdown):
    return plain(markdown.split("What was compared")[0])


def test_a_difference_that_is_there_is_in_the_verdict_with_interval_examples_and_seeds(whole):
    said = verdict_of(whole[2])
    assert re.search(
        r"FIAT at 800 examples is [\d.]+ F1 better than in-context learning "
        r"\([\d.]+ to [\d.]+, n = 40, 3 seeds; p = [\d.e-]+ after Holm's correction for 10 comparisons\)",
        said,
    )


def test_a_difference_that_is_not_there_is_said_to_be_not_found(tmp_path):
    alike = ("finetune", "finetune_instruction", "lora", "lora_instruction", "icl", "fiat")
    made_up = replace(SMALL, sizes=(800,), paradigms=alike, truth=tuple((name, 60.0) for name in alike))
    said = verdict_of(written(tmp_path, made_up)[1])
    assert "no difference between FIAT and prompting the large model" in said
    assert "No difference found between FIAT at 800 examples and in-context learning" in said
    assert "scores higher" not in said and " better than " not in said
