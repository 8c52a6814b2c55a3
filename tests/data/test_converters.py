"""What seqio's converter makes of a task is what our own batches are made of."""

import numpy as np
import pytest
from rows import example

from fiat_jax.data import eval_batches, load_examples
from fiat_jax.data.converters import converted
from fiat_jax.errors import ConfigError

TRAIN = [example(f"hau-{i}", "hau", question="who wrote it? " * (1 + i % 3)) for i in range(7)]


@pytest.fixture
def task(make_task):
    return make_task(train=TRAIN, inputs_length=256, targets_length=16, languages=("hau",))


def test_seqios_converter_gives_the_arrays_of_our_batches(task):
    examples = load_examples(task, "plain", "train")
    rows = list(converted(task, "plain", "train").as_numpy_iterator())
    assert len(rows) == len(examples)
    for batch, places in eval_batches(examples, 4):
        for at, place in enumerate(places):
            if place < 0:
                continue
            row = rows[place]
            ours = {
                "encoder_input_tokens": batch["inputs"][at],
                "decoder_target_tokens": batch["targets"][at],
                "decoder_loss_weights": batch["weights"][at],
                "decoder_input_tokens": np.concatenate([[0], batch["targets"][at][:-1]]),
            }
            assert set(row) == set(ours)
            for name, values in ours.items():
                width = len(values)
                if name != "decoder_input_tokens":  # seqio's holds the end, where nothing counts any more
                    assert not row[name][width:].any()
                    np.testing.assert_array_equal(row[name][:width], values)
                else:
                    counted = int(batch["weights"][at].sum())
                    np.testing.assert_array_equal(row[name][:counted], values[:counted])


def segments(row, name):
    """The parts of a packed row, in order, with their positions checked."""
    side = name.partition("_")[0]
    ids, positions = row[f"{side}_segment_ids"], row[f"{side}_positions"]
    parts = [row[f"{name}_tokens"][ids == one] for one in range(1, ids.max() + 1)]
    for one, part in enumerate(parts, start=1):
        np.testing.assert_array_equal(positions[ids == one], np.arange(len(part)))
    return [tuple(part.tolist()) for part in parts]


def test_what_seqio_packs_are_the_segments_of_our_examples(task):
    examples = load_examples(task, "plain", "train")
    rows = list(converted(task, "plain", "train", packed=True).as_numpy_iterator())
    assert len(rows) < len(examples)
    found = [
        pair
        for row in rows
        for pair in zip(segments(row, "encoder_input"), segments(row, "decoder_target"), strict=True)
    ]
    ours = zip(examples.inputs, examples.targets, strict=True)
    assert sorted(found) == sorted((tuple(i.tolist()), tuple(t.tolist())) for i, t in ours)


def test_a_reading_that_the_task_has_not_is_refused(task):
    with pytest.raises(ConfigError, match=r"found 'fiat'; set Task\.rationales"):
        converted(task, "fiat", "train")
