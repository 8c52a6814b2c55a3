"""Scores of a sweep: what is estimated, compared and solved for, against scipy and by hand."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from simulated_scores import normal, runs

from fiat_jax.data.metrics.labels import average_precision
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.study.statistics import (
    Cell,
    Score,
    compare,
    compare_all,
    compared,
    draw,
    estimate,
    gather,
    holm,
    per_language,
)


def wide(count, **more):
    """Scores of 80 examples whose seeds differ widely."""
    return runs(*(normal(seed, 80, mean=50 + 8 * seed) for seed in range(count)), **more)


def test_statistics_load_no_jax():
    code = "import sys, fiat_jax.study.statistics; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"jax", "scipy", "tensorflow", "seqio"} & set(loaded.split())


# what is put together


def test_seeds_are_put_together_by_paradigm_and_regime_with_examples_in_one_order():
    cells = [
        Cell("FIAT", 100, 1, ["a", "b", "a"], ["x", "x", "y"], [1, 2, 3]),
        Cell("FIAT", 300, 0, ["b", "a", "a"], ["x", "y", "x"], [5, 6, 4]),
        Cell("FIAT", 100, 0, ["a", "a", "b"], ["y", "x", "x"], [9, 7, 8]),
    ]
    found = gather(cells)
    assert list(found) == [("FIAT", 100), ("FIAT", 300)]
    assert found["FIAT", 100].seeds == (1, 0)
    assert found["FIAT", 100].scores.tolist() == [[1, 2, 3], [7, 8, 9]]
    assert found["FIAT", 300].scores.tolist() == [[4, 5, 6]]
    assert found["FIAT", 300].languages == ("x", "x", "y")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": ["a"]}, "expected one of each for every example, found {'ids': 1"),
        ({"ids": ["a", "a"]}, "expected every example once, found 'a' twice"),
        ({"scores": [1.0, math.nan]}, "expected a finite score of 'b', found nan"),
        ({"seed": 0}, "FIAT at 100, seed 0: expected each seed once, found also seed 0"),
        ({"seed": None}, "seed None: expected each seed once"),
        ({"ids": ["a", "c"]}, "expected the examples of FIAT at 100, seed 0, found none of id 'b'"),
        (
            {"ids": ["a", "b", "c"], "languages": [""] * 3, "scores": [1, 2, 3]},
            "found also id 'c', language ''",
        ),
    ],
)
def test_cells_that_do_not_fit_together_are_refused(change, message):
    first = Cell("FIAT", 100, 0, ["a", "b"], ["", ""], [1, 2])
    with pytest.raises(DataError, match=message.replace("{", r"\{")):
        gather([first, Cell(**{**vars(first), "seed": 1, **change})])


def test_nothing_to_put_together_is_refused():
    with pytest.raises(DataError, match="at least one cell"):
        gather([])


# a score and its interval


def test_a_score_is_the_mean_over_the_languages_that_count_not_over_examples():
    found = runs([0, 0, 0, 30, 60, 90, 90], languages=["a", "a", "a", "b", "b", "c", "c"])
    assert estimate(found).value == pytest.approx((0 + 45 + 90) / 3)
    assert estimate(found, Score(("b", "c"))).value == pytest.approx((45 + 90) / 2)
    assert estimate(found, Score(("b", "c"))).examples == 4
    assert list(per_language(Score(("b", "c")), found)) == ["", "b", "c"]
    assert list(per_language(Score(), runs([1, 2]))) == [""]


def test_a_language_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="two examples or more of 'sw', found 0; the test split has a, b"):
        estimate(runs([1, 2, 3, 4], languages=["a", "a", "b", "b"]), Score(("a", "sw")))


def test_spread_over_seeds_is_of_their_means():
    found = estimate(runs([10, 20], [30, 40], [50, 90]), resamples=100)
    assert (found.value, found.least, found.most) == (pytest.approx(40), 15, 70)
    assert found.sd == pytest.approx(np.std([15, 35, 70], ddof=1))
    assert found.seeds == 3


def test_with_one_seed_the_interval_is_scipys_bootstrap_over_examples():
    scores = normal(0, 80)
    ours = estimate(runs(scores))
    assert ours.sd is None
    theirs = stats.bootstrap(
        (scores,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
    ).confidence_interval
    wider = np.sqrt(80 / 79)
    mean = scores.mean()
    assert ours.low == pytest.approx(mean + wider * (theirs.low - mean), abs=0.25)
    assert ours.high == pytest.approx(mean + wider * (theirs.high - mean), abs=0.25)


def test_where_all_variance_is_of_seeds_the_interval_is_students_t():
    means = np.array([40.0, 46.0, 41.0, 49.0])
    found = estimate(runs(*np.repeat(means[:, None], 50, axis=1)), resamples=40_000)
    theirs = stats.t.interval(0.95, 3, means.mean(), stats.sem(means))
    assert (found.low, found.high) == pytest.approx(theirs, abs=0.4)


def test_what_has_no_seed_is_not_said_to_leave_seeds_out():
    fixed = estimate(runs(normal(0, 50), seeds=[None]))
    assert fixed.seeds == 0
    assert fixed.text().endswith("n = 50, nothing random)")
    assert estimate(runs(normal(0, 50))).text().endswith("n = 50, 1 seed, others not covered)")


def test_the_same_call_gives_the_same_interval():
    found = wide(3)
    assert estimate(found) == estimate(found) != estimate(found, random_seed=1)


def test_a_metric_that_is_no_mean_is_computed_on_every_resample():
    labels = np.random.default_rng(5).random(60) < 0.4
    scores = labels + normal(6, 2, 60, mean=0, sd=0.8)
    score = Score(metric=lambda values, rows: average_precision(values.tolist(), labels[rows].tolist()))
    found = estimate(runs(*scores), score, resamples=500)
    assert found.value == pytest.approx(
        np.mean([average_precision(row.tolist(), labels.tolist()) for row in scores])
    )
    assert 0 < found.low < found.value < found.high
    mean = Score(metric=lambda values, rows: float(values.mean()))
    assert draw([runs(*scores)], mean, 300).drawn == pytest.approx(draw([runs(*scores)], resamples=300).drawn)


def test_a_metric_that_is_not_defined_on_a_resample_says_so():
    with pytest.raises(DataError, match="finite number on every resample of 4 examples, found nan"):
        estimate(runs([1, 2, 3, 4]), Score(metric=lambda values, rows: math.nan))


# comparisons


def test_a_difference_is_in_pairs_of_examples_and_seeds():
    base = wide(3)
    better = runs(*(base.scores + 5 + normal(9, 3, 80, mean=0, sd=1)))
    found = compare(better, base)
    assert found.difference.high - found.difference.low < 1.5 < estimate(base).high - estimate(base).low
    assert found.difference.low < 5 < found.difference.high
    shuffled = runs(*better.scores[[2, 0, 1]], seeds=[2, 0, 1])
    assert compare(shuffled, base).difference.value == pytest.approx(found.difference.value)
    assert compare(shuffled, base).difference.sd == pytest.approx(found.difference.sd)


def test_seeds_of_one_side_only_are_left_out_and_counted():
    found = compare(wide(3), wide(2, paradigm="fine-tuning"))
    assert (found.difference.seeds, found.difference.left_out) == (2, 1)
    assert "2 seeds, 1 of one side only left out" in compared(found)
    with pytest.raises(DataError, match="expected one at least that all runs have"):
        compare(wide(2), wide(2, seeds=[5, 6]))


def test_what_has_no_seed_is_compared_with_every_seed():
    found = compare(wide(3), runs(normal(3, 80), seeds=[None]))
    assert found.difference.seeds == 3
    assert found.difference.value == pytest.approx(wide(3).scores.mean() - normal(3, 80).mean())


def test_runs_on_other_examples_are_not_compared():
    with pytest.raises(DataError, match="expected the test examples of FIAT at 300, found others"):
        compare(runs([1, 2]), runs([1, 2, 3]))


def test_exchanging_agrees_with_scipys_permutation_test_and_its_t_and_rank_tests():
    one, other = normal(1, 2, 60), normal(1, 2, 60) + normal(2, 60, mean=1.6, sd=6)
    found = compare(runs(*one), runs(*other))
    pairs = one.mean(0), other.mean(0)
    theirs = stats.permutation_test(
        pairs, lambda a, b, axis: np.mean(a - b, axis), permutation_type="samples", vectorized=True,
        n_resamples=10_000, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert 0.01 < found.p_models < 0.2
    assert found.p_models == pytest.approx(theirs.pvalue, abs=0.015)
    assert found.p_models == pytest.approx(stats.ttest_rel(*pairs).pvalue, abs=0.02)
    assert found.p_models == pytest.approx(stats.wilcoxon(*pairs).pvalue, abs=0.1)


def test_exchanging_agrees_with_all_exchanges_of_few_examples():
    one, other = normal(3, 9), normal(4, 9, mean=62.0)
    theirs = stats.permutation_test(
        (one, other), lambda a, b: np.mean(a) - np.mean(b), permutation_type="samples", n_resamples=2**9
    )
    assert compare(runs(one), runs(other)).p_models == pytest.approx(theirs.pvalue, abs=0.015)


def test_exchanging_for_a_metric_that_is_no_mean_is_the_same_test():
    one, other = runs(*normal(1, 2, 40)), runs(*normal(2, 2, 40, mean=55.0))
    written = Score(metric=lambda values, rows: float(values.mean()))
    plain = compare(one, other, resamples=1000)
    assert compare(one, other, written, resamples=1000).p_models == pytest.approx(plain.p_models, abs=0.05)


def test_with_one_seed_p_is_that_of_scipys_paired_t_test():
    one, other = normal(1, 100), normal(1, 100) + normal(2, 100, mean=1.4, sd=6)
    found, theirs = compare(runs(one), runs(other)), stats.ttest_rel(one, other)
    assert 0.005 < theirs.pvalue < 0.2
    assert found.p == pytest.approx(theirs.pvalue, abs=0.01)
    assert (found.difference.low, found.difference.high) == pytest.approx(
        theirs.confidence_interval(), abs=0.2
    )


def test_where_all_variance_is_of_seeds_p_is_that_of_a_t_test_on_seeds():
    gaps = np.array([1.0, 3.0, 4.0, 2.0])
    other = normal(0, 4, 50)
    found = compare(runs(*(other + gaps[:, None])), runs(*other), resamples=40_000)
    assert found.p == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue, abs=0.005)


def test_two_that_answer_alike_are_not_different():
    found = compare(wide(3), wide(3, paradigm="other"))
    assert (found.difference.low, found.difference.high, found.p, found.p_models) == (0, 0, 1, 1)


def test_p_is_below_a_twentieth_where_the_interval_holds_no_zero():
    for shift in np.linspace(0, 6, 13):
        found = compare(wide(3), runs(*(wide(3).scores - shift + normal(7, 3, 80, mean=0, sd=9))))
        assert (found.p < 0.05) == (not found.difference.low <= 0 <= found.difference.high)


def test_holm_on_a_worked_example():
    # sorted 0.005, 0.01, 0.03, 0.04; times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04; none less than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_family_is_every_pair_by_every_score_and_its_joint_intervals_are_wider():
    languages = ["a"] * 40 + ["b"] * 40
    one, other = wide(3, languages=languages), runs(*normal(5, 3, 80), paradigm="x", languages=languages)
    family = compare_all([(one, other), (other, one)], per_language(Score(), one))
    assert [(each.one, each.language) for each in family] == [
        (name, language) for name in ("FIAT", "x") for language in ("", "a", "b")
    ]
    assert {each.family for each in family} == {6}
    assert [each.adjusted for each in family] == holm([each.p for each in family])
    assert [each.adjusted_models for each in family] == holm([each.p_models for each in family])
    for each in family:
        assert each.joint_low < each.difference.low and each.difference.high < each.joint_high


def test_a_family_too_large_for_its_resamples_is_refused():
    one = wide(2)
    with pytest.raises(ConfigError, match="expected 400 or more for 2 comparisons, found 399"):
        compare_all([(one, one)] * 2, {"": Score()}, resamples=399)
    assert compare_all([(one, one)] * 2, {"": Score()}, resamples=400)


# sentences


def test_a_verdict_is_a_sentence_with_its_interval():
    base = runs(*(normal(1, 3, 400)), paradigm="fine-tuning")
    better = runs(*(base.scores + 12.3 + normal(2, 3, 400, mean=0, sd=9)))
    found = compare(better, base)
    low, high = (f"{end:.1f}" for end in (found.difference.low, found.difference.high))
    gap = f"{found.difference.value:.1f}"
    said = f"FIAT is {gap} F1 better than fine-tuning at 300 examples ({low} to {high}, n = 400, 3 seeds)."
    assert compared(found) == said
    assert compared(compare(base, better)).startswith(
        f"fine-tuning is {gap} F1 worse than FIAT at 300 examples ("
    )


def test_a_verdict_names_both_regimes_where_they_differ_and_what_is_not_tuned():
    one, other = runs(*normal(1, 3, 90)), runs(*normal(2, 3, 90), paradigm="fine-tuning", regime=1000)
    assert "between FIAT at 300 examples and fine-tuning at 1,000 examples: " in compared(compare(one, other))
    prompted = runs(normal(3, 90), paradigm="in-context learning", regime=None, seeds=[None])
    assert "between FIAT at 300 examples and in-context learning: " in compared(compare(one, prompted))


def test_no_difference_is_said_where_the_interval_holds_zero():
    said = compared(compare(wide(3), wide(3, paradigm="other")), unit="EM", digits=2)
    pair = "FIAT and other at 300 examples"
    assert said == f"No difference found between {pair}: +0.00 EM (0.00 to 0.00, n = 80, 3 seeds)."


def test_a_difference_that_many_comparisons_explain_is_said_to_be_doubtful():
    one, other = normal(1, 100), normal(1, 100) + normal(2, 100, mean=-1.5, sd=6)
    languages = ["a"] * 50 + ["b"] * 50
    pair = runs(one, languages=languages), runs(other, languages=languages, paradigm="other")
    alone = compare(*pair)
    assert alone.p < 0.05 and "chance" not in compared(alone)
    said = compared(compare_all([pair, *[(pair[0], pair[0])] * 9], {"": Score()})[0])
    assert "after Holm's correction for 10 comparisons), which may be chance among so many" in said
    assert " at 300 examples in b (" in compared(compare_all([pair], per_language(Score(), pair[0]))[2])
