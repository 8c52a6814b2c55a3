"""What several rooms' tests share."""

import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from fiat_jax import configurables
from fiat_jax.configurables import Command

HERE = "kitchen"
REPOSITORY = Path(__file__).parents[1]

# Nearly all of the suite's time is spent compiling small programs: compile them plainly, and each once.
# Set before jax is imported, and inherited by the processes that tests start.
PLAINLY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
if find_spec("jaxlib") and version("jaxlib").startswith("0.10."):  # later ones can only fuse so
    PLAINLY += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", PLAINLY)
CACHE = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(REPOSITORY / ".pytest_cache" / "xla"))
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(CACHE, os.environ.get("PYTEST_XDIST_WORKER", "")))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


@pytest.fixture
def kitchen(monkeypatch):
    """Puts the kitchen in the place of the real settings and commands."""
    settings = {name: f"{HERE}:{name}" for name in ("Spice", "Oven", "Stove", "Whisk", "Recipe", "Kitchen")}
    commands = {
        "cook": Command(f"{HERE}:cook", "cook a meal", "starts"),
        "dine": Command(f"{HERE}:dine", "eat a meal", "reads"),
        "bake": Command(f"{HERE}:bake", "bake bread"),
        "roast": Command(f"{HERE}:roast", "roast a chicken"),
        "order": Command(
            f"{HERE}:order", "order dishes", flags=("dishes", "table", "most_cost", "hurry", "dry_run")
        ),
    }
    protocols = {"Heat": ("Oven", "Stove")}
    tables = {"SETTINGS": settings, "COMMANDS": commands, "PROTOCOLS": protocols}
    for table, contents in ((getattr(configurables, name), entries) for name, entries in tables.items()):
        for name in list(table):
            monkeypatch.delitem(table, name)
        for name, entry in contents.items():
            monkeypatch.setitem(table, name, entry)


@pytest.fixture(scope="session")
def gcs_server():
    """Where gs:// leads: one server for the whole session, since libraries ask for its address once."""
    import fsspec
    from fake_gcs import FakeGCS

    with FakeGCS() as server:
        os.environ.update(server.environment)
        fsspec.config.conf.setdefault("gs", {})["token"] = "anon"  # it may have been imported before
        yield server


@pytest.fixture
def gcs(gcs_server, tmp_path, monkeypatch):
    """The server, with nothing in it and nothing of it in a cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    gcs_server.objects.clear()
    return gcs_server


@pytest.fixture
def real_t5():
    """A folder with a real T5; the test is skipped where FIAT_REAL_T5 names none."""
    folder = os.environ.get("FIAT_REAL_T5")
    if not folder:
        pytest.skip("FIAT_REAL_T5 is not set")
    return Path(folder)


@pytest.fixture
def afriqa():
    """AfriQA with a large model's reasoning; the test is skipped where it is not beside the repository."""
    folder = REPOSITORY.parent / "shared" / "data" / "afriqa_fiat"
    if not folder.is_dir():
        pytest.skip("no shared/data/afriqa_fiat beside the repository")
    return folder
