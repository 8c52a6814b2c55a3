"""The small world of the study's tests, with a table to run in it."""

import pytest
from small_sweep import SWEEP


@pytest.fixture
def table(world):
    """The working directory, with sweep.gin beside world.gin."""
    (world / "sweep.gin").write_text(SWEEP)
    return world
