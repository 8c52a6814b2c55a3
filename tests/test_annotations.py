from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat_jax.config.annotations import Mismatch, conform, describe

values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.integers())
)
annotations = st.sampled_from(
    [int, float, str, bool, int | None, float | str, tuple[int, ...], list[float], Literal["a", 1], Any]
)


@pytest.mark.parametrize(
    ("value", "annotation", "wanted"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (None, float | None, None),
        (3, float | None, 3.0),
        (3, float | int, 3),
        (["a", "b"], tuple[str, ...], ("a", "b")),
        ([1, 2], tuple[float, float], (1.0, 2.0)),
        ([], tuple[str, ...], ()),
        ([1], tuple, (1,)),
        ([[1], []], tuple[tuple[int, ...], ...], ((1,), ())),
        ([1, 2], Sequence[float], [1.0, 2.0]),
        ({"a": 1}, Mapping[str, float], {"a": 1.0}),
        ({"a": [1]}, dict[str, Any], {"a": [1]}),
        ("low", Literal["low", "high"], "low"),
        (7, Annotated[float, "grams"], 7.0),
    ],
)
def test_a_value_becomes_what_the_annotation_wants(value, annotation, wanted):
    found = conform(value, annotation)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (True, int),
        (True, float),
        (1, bool),
        (1, Literal[True]),
        (1.5, int),
        ("3", int),
        (3, str),
        (None, str),
        ("abc", tuple[str, ...]),
        ("abc", list[str]),
        ([1, 2, 3], tuple[int, int]),
        (["a", 1], tuple[str, ...]),
        ({1: 1}, dict[str, int]),
        ([("a", 1)], dict[str, int]),
        ("mid", Literal["low", "high"]),
    ],
)
def test_a_value_of_another_type_is_refused(value, annotation):
    with pytest.raises(Mismatch):
        conform(value, annotation)


@given(values, annotations)
def test_what_conforms_once_conforms_to_itself(value, annotation):
    try:
        once = conform(value, annotation)
    except Mismatch:
        return
    assert conform(once, annotation) == once


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int | None, "int | None"),
        (tuple[str, ...], "tuple[str, ...]"),
        (Mapping[str, Any], "Mapping[str, Any]"),
        (Literal["low", "high"], "'low' | 'high'"),
        (Annotated[float, "grams"], "float"),
    ],
)
def test_annotations_are_said_as_they_are_written(annotation, text):
    assert describe(annotation) == text
