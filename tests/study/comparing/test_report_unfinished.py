"""A sweep that is not finished, or has little in it, gets a report that says what is not there."""

from dataclasses import replace

import pytest
from study.comparing.made_up_sweep import MadeUp
from study.comparing.test_report import SMALL, again, plain, verdict_of, written

from fiat_jax.errors import DataError
from fiat_jax.study.comparing.report import write_report
from fiat_jax.study.comparing.results import write_failure

TINY = replace(SMALL, examples=6, sizes=(800,), seeds=(0, 1), paradigms=("icl", "finetune", "lora", "fiat"))


def test_a_sweep_without_a_finished_cell_says_that_there_is_nothing_to_compare(tmp_path):
    assert "No cell has finished yet" in verdict_of(written(tmp_path, replace(TINY, paradigms=()))[1])


def test_failed_cells_are_named_in_the_verdict_and_their_reasons_in_the_settings(tmp_path):
    TINY.write(tmp_path)
    write_failure(tmp_path, "lora-100-0", "out of <memory>")
    page, markdown = again(tmp_path)
    assert "1 cell has failed: lora-100-0" in verdict_of(markdown)
    assert "lora-100-0: out of <memory>" in plain(markdown) and "out of &lt;memory&gt;" in page


def test_missing_seeds_sizes_and_paradigms_are_named(tmp_path):
    made_up = replace(TINY, sizes=(100, 800))
    made_up.write(tmp_path)
    for gone in (
        "fiat--800-1",
        "icl--None-None",
        *(f"{name}--100-{seed}" for name in made_up.paradigms for seed in (0, 1)),
    ):
        (tmp_path / "results" / f"{gone}.json").unlink(missing_ok=True)
    said = verdict_of(again(tmp_path)[1])
    assert "Not there: in-context learning." in said
    assert "FIAT at 800 lacks seed 1." in said
    assert "Nothing is there at 100 training examples." in said
    assert "1 of one side only left out" in said
    assert "There is no prompting to compare with." in said


def test_without_fiat_everything_is_compared_with_the_best_and_that_is_said(tmp_path):
    markdown = written(tmp_path, replace(TINY, paradigms=("icl", "finetune", "lora")))[1]
    assert "FIAT has not run" in verdict_of(markdown)
    assert "nothing can be taken from it" in markdown


def test_one_seed_is_said_not_to_cover_others(tmp_path):
    assert "1 seed, others not covered" in verdict_of(written(tmp_path, replace(TINY, seeds=(0,)))[1])


@pytest.mark.parametrize(
    ("made_up", "said"),
    [
        (replace(TINY, languages=("",)), "of one language, or none is named"),
        (
            replace(TINY, paradigms=("icl", "zero_shot")),
            "of what has, in-context learning has the highest mean",
        ),
        (replace(TINY, paradigms=("fiat",)), "nothing to be compared with"),
        (replace(TINY, examples=1), "no language that counts has two test examples"),
        (replace(TINY, tokens=False), "What the reasoner costs is not known"),
        (replace(TINY, rationale=""), "no rationales to show"),
        (replace(TINY, unit="ROUGE-L"), "no task that is scored by ROUGE-L"),
        (replace(TINY, prompts=("short", "long")), "FIAT (long) less FIAT (short)"),
    ],
    ids=[
        "no language",
        "nothing tuned",
        "one paradigm",
        "one example",
        "no costs",
        "no rationales",
        "unit",
        "prompts",
    ],
)
def test_what_a_sweep_lacks_is_said(tmp_path, made_up, said):
    page, markdown = written(tmp_path, made_up)
    assert said in " ".join(plain(markdown).split()) and said in " ".join(plain(page).split())


def test_a_folder_that_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"study\.json"):
        write_report(tmp_path)


def test_scores_that_are_all_alike_make_pictures_too(tmp_path):
    MadeUp(
        examples=3, sizes=(100, 800), paradigms=("lora", "fiat"), truth=(("lora", 900.0), ("fiat", 900.0))
    ).write(tmp_path)
    write_report(tmp_path, 400)
    assert len(list((tmp_path / "pictures").glob("*.svg"))) == 4


def test_paradigms_that_have_no_size_in_common_are_shown_beside_one_another(tmp_path):
    replace(TINY, sizes=(100, 800), paradigms=("finetune", "fiat")).write(tmp_path)
    for gone in ("finetune--100", "fiat--800"):
        for path in (tmp_path / "results").glob(f"{gone}-*"):
            path.unlink()
    markdown = again(tmp_path)[1]
    assert "F1 of each paradigm" in markdown and "F1 by training examples" not in markdown
    said = verdict_of(markdown)
    assert "At 100 training examples, FIAT has nothing to be compared with" in said
    assert "FIAT has not run at more than 100 training examples" in said


def test_of_too_many_comparisons_in_single_languages_those_with_the_best_of_each_kind_are_left(tmp_path):
    languages = tuple(f"l{at}" for at in range(12))
    markdown = written(tmp_path, replace(SMALL, sizes=(800,), languages=languages, examples=3))[1]
    assert "F1 by language at 800 training examples, 36 comparisons" in markdown
    assert "with the best of each kind alone" in markdown


def test_seeds_that_no_two_paradigms_have_in_common_are_no_error(tmp_path):
    replace(TINY, paradigms=("finetune", "lora_instruction", "lora", "fiat")).write(tmp_path)
    for gone in ("lora_instruction--800-0", "finetune--800-0", "lora--800-0", "fiat--800-1"):
        (tmp_path / "results" / f"{gone}.json").unlink()
    said = " ".join(plain(again(tmp_path)[1]).split())
    assert "FIAT has nothing to be compared with" in said and "FIAT at 800 lacks seed 1" in said
