"""The house as a whole: what imports what, what is installed, and that every gin file builds."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import fiat_jax
from fiat_jax import configurables
from fiat_jax.config import parse
from fiat_jax.config.files import SHIPPED
from fiat_jax.data.preprocessors import Preprocessor
from fiat_jax.reasoning import Client

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fiat_jax"
MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))

FLOORS = (
    {"errors"},
    {"intervals", "paths", "typing"},
    {"records"},
    {"adapters"},
    {"models"},
    {"parallel"},
    {"training", "decoding", "checkpoints"},
    {"reasoning"},
    {"data"},
    {"study"},
    {"serving"},
    {"configurables"},
    {"config"},
    {"cli"},
    {"miniature"},
    {"__init__"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

OWNERS = {
    "gin": {"config"},
    "seqio": {"data"},
    "tensorflow": {"data"},
    "tensorflow_datasets": {"data"},
    "httpx": {"reasoning"},
    "apache_beam": {"reasoning"},
    "xllamacpp": {"reasoning"},
    "optuna": {"reasoning"},
    "rouge_score": {"data"},
    "sacrebleu": {"data"},
    "fastapi": {"serving"},
    "starlette": {"serving"},
    "pydantic": {"serving"},
    "uvicorn": {"serving"},
}
"""Libraries that only some rooms know."""

OPTIONAL = {
    *("apache_beam", "optuna", "xllamacpp", "fastapi", "starlette", "pydantic", "uvicorn"),
    *("rouge_score", "sacrebleu"),
}
"""Libraries that an extra brings."""

DISTRIBUTIONS = {
    "apache_beam": "apache-beam",
    "gin": "gin-config",
    "orbax": "orbax-checkpoint",
    "rouge_score": "rouge-score",
    "tensorflow_datasets": "tensorflow-datasets",
}


def imports(module: str) -> set[str]:
    """All that a module imports, anywhere in it, but for what only type checkers see."""
    found = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse((PACKAGE / module).read_text(encoding="utf-8")))
    return found


def room(module: str) -> str:
    return Path(module).with_suffix("").parts[0]


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_rooms_below_it(module):
    here = room(module)
    for name in imports(module):
        parts = name.split(".")
        if parts[0] == "fiat_jax" and len(parts) > 1 and parts[1] in FLOOR:
            assert parts[1] == here or FLOOR[parts[1]] < FLOOR[here], f"{here} imports {name}"


def test_every_room_has_a_floor():
    assert {room(module) for module in MODULES} <= set(FLOOR)


@pytest.mark.parametrize("module", MODULES)
def test_a_library_is_known_only_to_the_rooms_that_own_it(module):
    for name in imports(module):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or room(module) in owners, f"{module} imports {name}"


def test_what_is_imported_is_required():
    required, extras = (ROOT / "setup.py").read_text().split("EXTRAS = ")
    own = {"fiat_jax", *sys.stdlib_module_names}
    for library in {name.split(".")[0] for module in MODULES for name in imports(module)} - own:
        requirements = extras if library in OPTIONAL else required
        assert f'"{DISTRIBUTIONS.get(library, library)}' in requirements, (
            f"setup.py does not require {library}"
        )


def test_the_constraints_pin_what_setup_requires():
    for constraints in (ROOT / "constraints").glob("*.txt"):
        pins = [line for line in constraints.read_text().splitlines() if not line.startswith("#")]
        assert all("==" in pin and "/" not in pin for pin in pins)


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, fiat_jax; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"jax", "numpy", "tensorflow", "seqio", "gin", "flax"} & set(loaded.split())


def test_the_public_names_exist_and_tools_see_the_same_ones():
    for name in fiat_jax._PLACES:
        assert getattr(fiat_jax, name).__name__ == name
        assert name in dir(fiat_jax)
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {f"{node.module}.{alias.name}" for node in block.body for alias in node.names}
    assert seen == {f"fiat_jax.{place}.{name}" for name, place in fiat_jax._PLACES.items()}


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Taks'"):
        fiat_jax.Taks  # noqa: B018


@pytest.mark.parametrize("name", configurables.names())
def test_every_configurable_is_where_the_table_says(name):
    target = configurables.load(name)
    if name in configurables.SETTINGS:
        assert configurables.name_of(target) == name
        assert target.__dataclass_params__.frozen
    assert configurables.parameters(name) or name in configurables.PREPROCESSORS


def test_the_protocol_of_preprocessors_is_kept_by_those_of_the_table():
    keepers = configurables.PROTOCOLS["Preprocessor"]
    for name in keepers:
        assert configurables.load(name).rows.__annotations__ == Preprocessor.rows.__annotations__
    assert set(configurables.names_in(Preprocessor | None)) == set(keepers)


def test_the_protocol_of_clients_is_kept_by_those_of_the_table():
    keepers = configurables.PROTOCOLS["Client"]
    members = {name for name in vars(Client) if not name.startswith("_")}
    assert members == {"model", "payload", "complete"}
    for name in keepers:
        kept = configurables.load(name)
        assert members <= {*vars(kept), *kept.__dataclass_fields__}
        assert kept.complete.__annotations__ == Client.complete.__annotations__
        assert kept.payload.__annotations__ == Client.payload.__annotations__
    assert set(configurables.names_in(Client | None)) == set(keepers)


COMPLETE = ("recipes/afriqa.gin", "models/flan_t5_small.gin", "runs/fiat.gin")


@pytest.mark.parametrize("name", [str(path.relative_to(SHIPPED)) for path in sorted(SHIPPED.rglob("*.gin"))])
def test_every_gin_file_builds_and_is_the_same_when_saved(name, tmp_path):
    files = [*(file for file in COMPLETE if file.split("/")[0] != name.split("/")[0]), name]
    first = parse("train", files, [f"train.run_dir={tmp_path}"])
    first.save(tmp_path / "config.gin")
    saved = [str(tmp_path / "config.gin")]
    assert parse("train", saved) == first
    evaluated = parse("eval", saved, [f"eval.run_dir={tmp_path}"])
    assert evaluated.arguments["experiment"] == first.arguments["experiment"]
    predicted = parse(
        "predict", saved, [f"predict.run_dir={tmp_path}", "predict.input=a", "predict.output=b"]
    )
    assert predicted.arguments["experiment"] == first.arguments["experiment"]


def test_pyproject_holds_tool_settings_only():
    assert set(tomllib.loads((ROOT / "pyproject.toml").read_text())) == {"tool"}


@pytest.mark.slow
def test_a_wheel_holds_the_gin_files_where_they_are_looked_for(tmp_path):
    source = tmp_path / "source"
    for name in ("fiat_jax", "gin_configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("fiat_jax-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    wanted = {f"fiat_jax/gin_configs/{path.relative_to(SHIPPED)}" for path in SHIPPED.rglob("*.gin")}
    assert wanted and wanted <= names
    assert "fiat_jax/py.typed" in names
    library = (PACKAGE / "reasoning" / "library").glob("*.toml")
    prompts = {f"fiat_jax/reasoning/library/{path.name}" for path in library}
    assert prompts and prompts <= names
    models = {path for path in (PACKAGE / "miniature" / "models").rglob("*") if path.is_file()}
    assert models and {f"fiat_jax/{path.relative_to(PACKAGE)}" for path in models} <= names
    assert not any(name.startswith(("tests/", "gin_configs/")) for name in names)
    installed = tmp_path / "installed"
    found = subprocess.run(
        [sys.executable, "-c", "from fiat_jax.config.files import SHIPPED; print(*SHIPPED.rglob('*.gin'))"],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert set(found) == {str(installed / name) for name in wanted}
