"""The miniature world: what its data promises, and that its model can be written and read."""

import jax
import numpy as np
import pytest

from fiat_jax.checkpoints import huggingface
from fiat_jax.checkpoints.huggingface_export import write
from fiat_jax.miniature.reasoner import rationale
from fiat_jax.miniature.world import copying, splits

GOLDEN = ["tiny_gated", "tiny_relu"]


def test_the_world_is_the_same_each_time_and_no_question_is_in_two_splits():
    rows = splits()
    assert rows == splits()
    asked = {name: {(row["language"], row["question"]) for row in some} for name, some in rows.items()}
    assert not asked["train"] & asked["test"] and not (asked["train"] | asked["test"]) & asked["new"]
    ids = [row["id"] for some in rows.values() for row in some]
    assert len(set(ids)) == len(ids)
    assert all("answer" not in row for row in rows["new"])


def test_every_answer_is_a_span_of_its_passage():
    assert all(row["answer"] in row["context"] for name in ("train", "test") for row in splits()[name])


def test_the_rule_sees_no_answer_and_is_mostly_but_not_always_right():
    rows = [row for name in ("train", "test") for row in splits()[name]]
    said = [rationale(row["question"], row["context"]) for row in rows]  # nothing else is given to it
    right = [text.endswith(f"The answer is: {row['answer']}.") for row, text in zip(rows, said, strict=True)]
    assert 0.85 < np.mean(right) < 0.97


def test_pretraining_shows_neither_questions_nor_reasoning():
    words = {word for row in splits()["test"] for word in row["question"].split()[:1]}
    for row in copying(200):
        assert not words & set(row["text"].split()) and "answer" not in row["text"]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_base_written_and_read_again_is_the_same_bit_for_bit(name, tmp_path, request):
    config, params = huggingface.load(request.config.rootpath / "tests" / "golden" / name, dtype="float32")
    write(tmp_path, config, params)
    again, same = huggingface.load(tmp_path, dtype="float32")
    assert again == config
    jax.tree.map(np.testing.assert_array_equal, same, params)
