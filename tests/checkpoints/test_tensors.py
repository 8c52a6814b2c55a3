"""Files that are foreign: what is wrong is refused in a sentence, before anything large is allocated."""

import json
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from fiat_jax.checkpoints.tensors import open_folder
from fiat_jax.errors import DataError

SOUND = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


def file(header, data=8, length=None):
    """A safetensors file with some header and as many bytes of zeros after it."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + bytes(data)


def one(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"a": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)} | more}


def two(offsets):
    return SOUND | {"b": {"dtype": "F32", "shape": [2], "data_offsets": offsets}}


TWICE = json.dumps(SOUND).encode()[:-1] + b", " + json.dumps(SOUND).encode()[1:]
HOSTILE = {
    "nothing": b"",
    "less than a length": bytes(7),
    "a header of no bytes": file(b""),
    "a truncated header": file(SOUND)[:20],
    "truncated data": file(SOUND, data=7),
    "data left over": file(SOUND, data=9),
    "a header beyond the file": file(SOUND, length=1000),
    "a header as long as may be": file(SOUND, length=2**64 - 1),
    "a header longer than any T5's": file(json.dumps(SOUND).encode() + b" " * 2**20),
    "no JSON": file(b"{not json}"),
    "no UTF-8": file(b'{"\xff": 1}'),
    "a list": file([]),
    "deep nesting": file(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "overlapping tensors": file(two([4, 12]), data=12),
    "two tensors in one place": file(two([0, 8])),
    "a hole": file(two([12, 20]), data=20),
    "a hole at the start": file(one(offsets=(4, 12)), data=12),
    "a tensor past the end": file(one(shape=(4,), offsets=(0, 16))),
    "offsets the wrong way round": file(one(offsets=(8, 0))),
    "offsets below zero": file(one(offsets=(-8, 0))),
    "a shape larger than its bytes": file(one(shape=(3,))),
    "a shape larger than memory": file(one(shape=(2**40,))),
    "a shape that overflows to nothing": file(one(shape=(2**32, 2**32), offsets=(0, 0)), data=0),
    "a size that is no 64-bit number": file(one(shape=(2**64,))),
    "a negative size": file(one(shape=(-2, -1))),
    "a fractional size": file(one(shape=(2.0,))),
    "nothing times much": file(one(shape=(2**60, 0), offsets=(0, 0)), data=0),
    "more axes than numpy has": file(one(shape=[1] * 100, offsets=(0, 4)), data=4),
    "no axes": file(one(shape=(), offsets=(0, 4)), data=4),
    "an unknown dtype": file(one(dtype="Q4")),
    "a dtype numpy lacks": file(one(dtype="F8_E4M3", shape=(8,))),
    "a tensor without a shape": file({"a": {"dtype": "F32", "data_offsets": [0, 8]}}),
    "a tensor given twice": file(TWICE),
    "a field given twice": file(b'{"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}}'),
    "metadata that is a number": file(SOUND | {"__metadata__": {"format": 1}}),
    "metadata that is a list": file(SOUND | {"__metadata__": ["format"]}),
    "a number too long to read": file(
        json.dumps(one(more=0)).replace(": 0}", ": " + "9" * 5000 + "}").encode()
    ),
}


def most_allocated(call):
    """What Python and numpy held at most during a call, in bytes above what they held before."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_file_that_the_hostile_ones_are_made_from_is_read(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(file(SOUND | {"__metadata__": {"format": "pt"}}))
    np.testing.assert_array_equal(open_folder(tmp_path)["a"].read(), [0, 0])


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_in_a_sentence_before_anything_is_allocated(content, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(content)

    def refused():
        with pytest.raises(DataError) as error:
            open_folder(tmp_path)
        message = str(error.value)
        assert message.startswith(str(tmp_path)) and ": expected " in message
        assert message.endswith(".") and len(message) < 500 and "\n" not in message

    assert most_allocated(refused) < 2**20


def opened(folder, content):
    """Opens a file and reads what it holds, or is refused."""
    (folder / "model.safetensors").write_bytes(content)
    try:
        for tensor in open_folder(folder).values():
            tensor.read()
    except DataError:
        pass


REAL = save({"a": np.ones((3, 4), np.float32), "b.weight": np.zeros(5, np.float16)}, {"format": "pt"})
NUMBER = st.integers(-1, 2**70) | st.integers(0, 32)
TENSOR = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "F64", "I8", "F4", "U64", "?"]),
        "shape": st.lists(NUMBER, max_size=4),
        "data_offsets": st.lists(NUMBER, min_size=2, max_size=2),
    }
)
SHORT = st.text(max_size=3)
LENGTH = st.none() | st.integers(0, 2**64 - 1) | st.integers(0, 200)
NO_FIXTURE_CHECK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@NO_FIXTURE_CHECK
@given(st.data())
def test_a_file_with_some_bytes_changed_is_read_or_refused(tmp_path, data):
    content = bytearray(REAL)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, 2 * len(content)))]
    assert most_allocated(lambda: opened(tmp_path, bytes(content))) < 2**20


@NO_FIXTURE_CHECK
@given(
    st.dictionaries(st.text(max_size=3), TENSOR | st.text(max_size=3), max_size=3), st.integers(0, 64), LENGTH
)
def test_a_file_with_any_header_is_read_or_refused(tmp_path, header, data, length):
    assert most_allocated(lambda: opened(tmp_path, file(header, data, length))) < 2**20


@NO_FIXTURE_CHECK
@given(st.binary(max_size=200), LENGTH)
def test_a_file_with_bytes_for_a_header_is_read_or_refused(tmp_path, header, length):
    assert most_allocated(lambda: opened(tmp_path, file(header, 8, length))) < 2**20


@pytest.mark.parametrize("shard", ["a\0b", "\ud800", "..", ".", "x" * 300])
def test_an_index_that_names_no_file_is_refused(shard, tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(DataError, match=": expected "):
        open_folder(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"weight_map": {"a": "x", "a": "y"}}', '"\xff'])
def test_an_index_that_cannot_be_read_or_says_two_things_is_refused(text, tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match="expected a 'weight_map'"):
        open_folder(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "a.safetensors"}}')
    with pytest.raises(DataError, match=r"a\.safetensors: .*it is no file"):
        open_folder(tmp_path)


def test_a_thousand_foreign_tensors_are_told_in_a_short_sentence(tmp_path):
    save_file({f"t{number}": np.zeros(1, np.int8) for number in range(1000)}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="and 980 more; take the model as it was") as error:
        open_folder(tmp_path)
    assert len(str(error.value)) < 1000


def test_a_snapshot_of_links_into_the_hubs_cache_is_read(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    (blobs / "4567def").write_bytes(REAL)
    (snapshot / "model.safetensors").symlink_to("../../blobs/4567def")
    np.testing.assert_array_equal(open_folder(snapshot)["a"].read(), np.ones((3, 4)))
