import pytest

from fiat_jax.adapters import check_targets, target_table
from fiat_jax.adapters.targets import override
from fiat_jax.errors import ConfigError


def test_a_pattern_that_matches_nothing_is_an_error_that_shows_the_paths():
    with pytest.raises(
        ConfigError, match=r"LoRA\.targets.*'.*/q' matches nothing.*encoder/layers/self_attention/query"
    ):
        check_targets({"LoRA.targets": (".*/query", ".*/q")}, ["encoder/layers/self_attention/query"])


def test_the_first_pattern_that_matches_overrides():
    overrides = ((".*/wo", 8), ("encoder/.*", 4))
    paths = ("encoder/layers/mlp/wo", "encoder/layers/mlp/wi", "decoder/layers/mlp/wi")
    assert [override(overrides, path, 2) for path in paths] == [8, 4, 2]


def test_the_table_shows_what_is_learned_where_and_the_trainable_share():
    learned = {"encoder/layers/mlp/wo": {"b": (8, 4, 16), "a": (8, 24, 4)}}
    table = target_table(learned, trainable=50, frozen=950)
    assert "encoder/layers/mlp/wo  a 8 x 24 x 4   b 8 x 4 x 16" in table
    assert table.endswith("50 trainable of 1,000 parameters (5.00 %)")
