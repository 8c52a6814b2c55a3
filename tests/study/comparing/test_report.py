"""A report says what was found and how sure that is, whatever the sweep has."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from study.comparing.made_up_sweep import MadeUp

from fiat_jax.study.comparing.report import write_report

SMALL = MadeUp(examples=20, sizes=(100, 800), seeds=(0, 1, 2), languages=("hau", "yor"))
FEW = 400
"""Resamples: enough for the families that are this small."""


def written(folder, made_up, resamples=FEW):
    """The page and the Markdown."""
    made_up.write(folder)
    return again(folder, resamples)


def again(folder, resamples=FEW):
    page = write_report(folder, resamples).page
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
    assert "no difference was found between FIAT and prompting the large model" in said
    assert "No difference found between FIAT at 800 examples and in-context learning" in said
    assert "scores higher" not in said and " better than " not in said


def test_no_score_and_no_difference_stands_without_its_interval(whole):
    markdown = whole[2]
    tables = re.findall(
        r"### [^\n]*(?:intervals|comparisons|Table 3|in place|Cost)[^\n]*\n\n((?:\|[^\n]*\n)+)", markdown
    )
    assert len(tables) == 7
    for table in tables:
        head, _, *rows = table.splitlines()
        scored = [
            at
            for at, name in enumerate(head.split("|"))
            if re.search("F1|n = |examples|diff|hau|yor|tuned$", name)
        ]
        assert rows and scored
        for cell in (row.split("|")[at].strip() for row in rows for at in scored):
            assert not re.match(r"[+-]?\d", cell) or re.search(r"\([+-]?[\d.]+ to [+-]?[\d.]+\)", cell), cell


def test_the_page_and_the_markdown_have_the_same_words_and_figures(whole):
    _, page, markdown = whole
    markdown = re.sub(r"!\[.*?\]\(.*?\)", " ", markdown)
    markdown = re.sub(r"^\|[ |:-]*\|$", "", markdown, flags=re.MULTILINE)
    words = [
        re.findall(r"[\w.,%+-]+", re.sub(r"^[#*-]+ ", "", plain(text), flags=re.MULTILINE))
        for text in (page, markdown)
    ]
    ours, theirs = ([word.strip(".,-") for word in its if word.strip(".,-")] for its in words)
    title = re.search("<title>(.*?)</title>", page)[1]
    assert ours[len(re.findall(r"[\w.,%+-]+", title)) :] == theirs


def test_hostile_text_of_a_rationale_is_shown_and_not_obeyed(tmp_path):
    hostile = "<script>alert(1)</script> | ![x](http://example.com/a.png) <img src=x>"
    page, markdown = written(tmp_path, replace(SMALL, examples=4, sizes=(800,), rationale=hostile))
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page
    assert "<script" not in markdown and "![x]" not in markdown
    assert "<script>alert(1)</script>" in plain(markdown)


def test_pictures_are_files_that_the_markdown_links_to(whole):
    folder, page, markdown = whole
    names = re.findall(r"!\[.*?\]\((pictures/\w+\.svg)\)", markdown)
    assert names == [f"pictures/{name}.svg" for name in ("scores", "languages", "ablation", "costs")]
    for name in names:
        picture = ElementTree.fromstring((folder / name).read_text(encoding="utf-8"))
        assert float(picture.get("width")) == 740
    assert page.count("<svg") == 2 * len(names) and "http" not in page.replace(
        "http://www.w3.org/2000/svg", ""
    )


def test_wins_and_losses_are_those_of_the_greatest_mean_difference(whole):
    folder, page, _ = whole
    results = {}
    for path in (folder / "results").glob("*-800-*.json"):
        held = json.loads(path.read_text(encoding="utf-8"))
        results.setdefault(held["paradigm"], []).append(held["scores"])
    means = {name: np.mean(scores, axis=0) for name, scores in results.items()}
    other = max(
        ("finetune", "finetune_instruction", "lora", "lora_instruction"), key=lambda name: means[name].mean()
    )
    apart = means["fiat"] - means[other]
    first = re.findall(r"(Won|Lost): q(\d+)", page)
    assert first[0] == ("Won", str(int(apart.argmax()))) and first[3] == ("Lost", str(int(apart.argmin())))


def test_an_ablation_that_has_not_run_is_named_and_the_next_goes_from_the_last_that_has(tmp_path):
    markdown = plain(
        written(tmp_path, replace(SMALL, sizes=(800,), paradigms=("lora", "finetune", "fiat")))[1]
    )
    assert "without rationale and instruction (adapter)" in markdown
    assert "One after another, without rationale: adapter, instruction was not run" in markdown
    assert (
        "Alone, without instruction-tuned base: FIAT without instruction-tuned base was not run" in markdown
    )


def test_the_papers_table_stands_beside_the_paradigms_that_correspond(tmp_path, whole):
    assert "without rationale | 70.7 / 76.0 | 76.7 / 79.8 | adapter, instruction |" in whole[2]
    markdown = written(tmp_path, replace(SMALL, sizes=(800,), score="accuracy", unit="accuracy"))[1]
    assert "| FIAT | 94.0 | 93.9 | FIAT |" in markdown and "points of accuracy better" in markdown


def test_what_fine_tuning_needs_to_reach_fiat_is_said_with_three_sizes(tmp_path, whole):
    assert "is not known: 3 sizes are needed" in whole[2]
    made_up = replace(SMALL, sizes=(100, 300, 800), paradigms=("finetune", "fiat"))
    assert re.search(
        r"Fine-tuning needs [\w ,]+ examples to reach FIAT at 100 examples", written(tmp_path, made_up)[1]
    )
