"""Labels given and labels ranked, against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from fiat_jax.data.metrics import METRICS
from fiat_jax.data.metrics.labels import areas, average_precision, roc_auc

accuracy, macro_f1 = METRICS["accuracy"], METRICS["macro_f1"]
labels = st.sampled_from(["entailment", "neutral", "contradiction"])


@settings(max_examples=40)
@given(st.lists(st.tuples(labels, labels | st.just("no label")), min_size=1))
def test_accuracy_and_macro_f1_are_scikit_learns(rows):
    right, said = zip(*rows, strict=True)
    expected = f1_score(right, said, labels=sorted({*right}), average="macro", zero_division=0)
    assert macro_f1(right, said)["macro_f1"] == pytest.approx(100 * expected)
    assert accuracy(right, said)["accuracy"] == pytest.approx(100 * accuracy_score(right, said))


def test_labels_are_the_same_in_any_case_and_however_a_letter_is_written():
    right, said = ["Yes", "é", "no"], [" yes ", "e\u0301", "no."]
    assert accuracy(right, said)["accuracy"] == pytest.approx(200 / 3)
    assert macro_f1(right, said)["macro_f1"] == pytest.approx(200 / 3)


def test_any_of_several_labels_is_right():
    right, said = [["true", "yes"], ["true", "yes"], "false"], ["yes", "false", "false"]
    assert accuracy(right, said)["accuracy"] == pytest.approx(200 / 3)
    # 'yes' was given for the first, and the second misses 'true': F1 of 1, 0 and 2/3
    assert macro_f1(right, said)["macro_f1"] == pytest.approx(100 * (1 + 0 + 2 / 3) / 3)


@pytest.mark.parametrize(
    ("scores", "positives", "precision", "roc"),
    [
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.5 * 1 + 0.5 * 2 / 3, 0.75),  # of scikit-learn's page
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 0], 1.0, 1.0),
        ([0.9, 0.8, 0.7, 0.6], [0, 0, 1, 1], 0.5 * 1 / 3 + 0.5 * 2 / 4, 0.0),
        ([0.5, 0.5, 0.5, 0.2], [1, 0, 0, 1], 0.5 * 1 / 3 + 0.5 * 2 / 4, 0.25),  # ties come together
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 0], 0.25, 0.5),
        ([0.3, 0.6], [0, 0], 0.0, 0.5),
        ([0.3, 0.6], [1, 1], 1.0, 0.5),
    ],
)
def test_areas_of_hand_made_rankings(scores, positives, precision, roc):
    positives = [bool(one) for one in positives]
    assert average_precision(scores, positives) == pytest.approx(precision)
    assert average_precision(scores[::-1], positives[::-1]) == pytest.approx(precision)
    assert roc_auc(scores, positives) == pytest.approx(roc)


ranked = st.lists(
    st.tuples(st.sampled_from([-1.5, 0.0, 0.1, 0.2, 3.0]), st.booleans(), st.integers(0, 3)), min_size=2
)


@settings(max_examples=60)
@given(ranked)
def test_areas_are_scikit_learns_with_examples_that_count_more_than_once_or_not_at_all(rows):
    scores, positives, counts = map(np.array, zip(*rows, strict=True))
    there = counts > 0
    if len({*positives[there]}) < 2:
        return
    found = areas(scores, positives)(counts.astype(float))
    weighted = {"sample_weight": counts[there]}
    expected = average_precision_score(positives[there], scores[there], **weighted)
    assert found[0] == pytest.approx(expected)
    assert found[1] == pytest.approx(roc_auc_score(positives[there], scores[there], **weighted))
