import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from kitchen import Oven

import fiat_jax
from fiat_jax import configurables, errors
from fiat_jax.cli import main

SOUP = "--gin.Recipe.title=soup"

HEAVY = ("jax", "tensorflow", "seqio", "gin", "flax", "numpy", "transformers")


@pytest.fixture
def fiat(kitchen, capsys, monkeypatch):
    """Runs `fiat` in the kitchen: exit code, standard output and standard error."""
    monkeypatch.setattr("fiat_jax.cli._quiet", lambda verbose: None)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def served(monkeypatch):
    """What `dine` was called with."""
    calls = []
    monkeypatch.setattr("kitchen.SERVED", calls)
    return calls


def _python(code: str, **options):
    root = Path(fiat_jax.__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, **options
    )


def test_help_comes_within_half_a_second():
    def seconds() -> float:
        """Processor time, so that a busy machine does not look like a slow import."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _python("from fiat_jax.cli import main; main(['--help'])")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"], ["trian"]])
def test_help_and_usage_errors_load_nothing_heavy(words):
    loaded = _python(
        f"import sys; from fiat_jax.cli import main; main({words}); sys.stderr.write(' '.join(sys.modules))"
    ).stderr.split()
    assert not set(HEAVY) & set(loaded)


def test_help_lists_the_commands(fiat):
    code, out, _ = fiat("--help")
    assert code == 0
    assert "cook       cook a meal" in out


def test_a_commands_help_shows_its_flags_parameters_and_settings(fiat):
    code, out, _ = fiat("cook", "--help")
    assert code == 0
    for text in (
        "--gin_file FILE",
        "--dry_run",
        "cook.plates: int = 2",
        "Kitchen.recipe: Recipe  (required)",
    ):
        assert text in out
    assert "      from 0 to 1." in out
    assert "Recipe.notes: dict[str, float] = dict()" in out


def test_help_shows_a_protocol_as_the_settings_that_keep_it_and_theirs_too(fiat):
    code, out, _ = fiat("roast", "--help")
    assert code == 0
    assert "roast.spare: Oven | Stove | None = None" in out
    assert "Stove.flames: int = 4" in out


@pytest.mark.parametrize(("verb", "name"), configurables.verbs().items())
def test_every_real_command_has_help(verb, name, capsys):
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: fiat {verb} ") and f"  {name}." in shown


def test_import_is_what_fiat_calls_a_command_that_gin_cannot():
    assert set(configurables.verbs()) >= {"annotate", "train", "eval", "predict", "export", "import", "merge"}
    assert configurables.verbs()["import"] == "import_adapter"


def test_help_is_found_from_any_folder_and_follows_classes_to_other_files(tmp_path):
    code = "import sys; from fiat_jax.cli import main; sys.exit(main(['train', '--help']))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    for text in ("DoRA.targets: ", "DoRA.rank: int = 16", "LoRA.alphas: ", "PrefixTuning.length: int = 20"):
        assert f"  {text}" in shown.stdout
    assert "ClassVar" not in shown.stdout


def test_a_reader_that_closes_early_is_no_failure():
    code = "import sys, time; from fiat_jax.cli import main; time.sleep(0.2); sys.exit(main(['--help']))"
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    writer.stdout.close()
    assert writer.stderr.read() == b""
    assert writer.wait() == 0


def test_the_version_is_said(fiat):
    assert fiat("--version")[1] == f"fiat {fiat_jax.__version__}\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["coko"], "fiat: expected a command, found 'coko'; did you mean 'cook'?"),
        (
            ["cook", "--gin_flie", "x"],
            "fiat cook: expected a flag, found '--gin_flie'; did you mean '--gin_file'?",
        ),
        (
            ["cook", "--gin_file"],
            "fiat cook: argument --gin_file: expected one argument; see fiat cook --help.",
        ),
        (["cook", "--gin.cook.plates", "3"], "expected --gin.cook.plates=VALUE"),
        (["cook", "meal.gin"], "expected a flag, found 'meal.gin'"),
        (["cook", SOUP, "--gin.cook.plats=3"], "cook has no parameter 'plats'; did you mean 'plates'?"),
        (["cook"], "Recipe.title is required and not set"),
        (["cook", SOUP, "--module", "no_such_module"], "found none named 'no_such_module' here or installed"),
        (["dine", "--run_dir", "nowhere"], "nowhere/config.gin is not there; check the path."),
        (["bake", "--run_dir", "runs/a"], "expected a flag, found '--run_dir'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(fiat, words, sentence):
    code, out, err = fiat(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.FiatError("a\nb"), 1),
        (errors.ConfigError("a\nb"), 2),
        (errors.DataError("a\nb"), 3),
        (errors.NonFiniteError("a\nb"), 4),
        (errors.InterruptedRun("a\nb"), 75),
    ],
)
def test_a_failure_is_one_line_and_the_exit_code_of_its_class(fiat, monkeypatch, error, code):
    monkeypatch.setattr("fiat_jax.cli._configure_and_run", _raising(error))
    assert fiat("cook") == (code, "", "fiat cook: a b\n")


def test_ctrl_c_ends_with_130(fiat, monkeypatch):
    monkeypatch.setattr("fiat_jax.cli._configure_and_run", _raising(KeyboardInterrupt()))
    assert fiat("cook") == (130, "", "fiat cook: interrupted\n")


def test_a_bug_shows_its_traceback(fiat, monkeypatch):
    monkeypatch.setattr("fiat_jax.cli._configure_and_run", _raising(RuntimeError("a bug")))
    code, _, err = fiat("cook")
    assert code == 1
    assert "RuntimeError: a bug" in err.splitlines()[-1]


def _raising(error: BaseException):
    def run(*_):
        raise error

    return run


def test_a_dry_run_prints_the_configuration_and_runs_nothing(fiat, tmp_path):
    run = tmp_path / "run"
    code, out, _ = fiat("cook", SOUP, "--run_dir", str(run), "--dry_run")
    assert code == 0
    assert "Recipe.title = 'soup'" in out
    assert not run.exists()
    (tmp_path / "again.gin").write_text(out)
    assert fiat("cook", "--gin_file", str(tmp_path / "again.gin"), "--dry_run") == (0, out, "")


def test_a_module_is_imported_from_where_the_command_runs(fiat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_kitchen_rules.py").write_text("open('imported', 'w').close()\n")
    assert fiat("cook", SOUP, "--module", "my_kitchen_rules", "--dry_run")[0] == 0
    assert (tmp_path / "imported").exists()


def test_gin_search_paths_are_separated_by_commas(fiat, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "soup.gin").write_text("Recipe.title = 'soup'\n")
    paths = f"{tmp_path / 'a'},{tmp_path / 'b'}"
    assert fiat("cook", "--gin_search_paths", paths, "--gin_file", "soup.gin", "--dry_run")[0] == 0


def test_a_run_writes_its_folder_and_another_command_reads_it(fiat, served, tmp_path):
    run = str(tmp_path / "run")
    assert fiat("cook", SOUP, "--gin.cook.plates=3", "--gin.Oven.degrees=220", "--run_dir", run)[0] == 0
    assert "cook.plates = 3" in Path(run, "config.gin").read_text()
    assert json.loads(Path(run, "environment.json").read_text())[0]["fiat_jax"] == fiat_jax.__version__
    assert fiat("dine", "--run_dir", run, "--gin.dine.tables=4") == (0, "", "")
    (call,) = served
    assert (call["run_dir"], call["tables"]) == (run, 4)
    assert call["kitchen"].place == Oven(220)
    assert "dine" not in Path(run, "config.gin").read_text()


def test_the_program_is_quiet_about_the_libraries_under_it():
    code = (
        "import warnings, logging; from fiat_jax.cli import _quiet; _quiet(False);"
        "warnings.warn('third party'); logging.getLogger('fiat_jax.x').info('ours');"
        "logging.getLogger('flax').info('theirs')"
    )
    assert _python(code, env={**os.environ, "PYTHONWARNINGS": ""}).stderr == "ours\n"


ORDER = {"dishes": (), "table": "", "most_cost": None, "hurry": False, "dry_run": False}


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], {}),
        (["--dishes=soup", "--dishes", "it's"], {"dishes": ("soup", "it's")}),
        (["--table=by the 'window'"], {"table": "by the 'window'"}),
        (["--most_cost=0"], {"most_cost": 0.0}),
        (["--most-cost", "2.5", "--hurry"], {"most_cost": 2.5, "hurry": True}),
        (["--gin.order.most_cost=1", "--most_cost=2"], {"most_cost": 2.0}),
    ],
)
def test_some_parameters_are_flags_too(fiat, served, words, given):
    assert fiat("order", *words)[0] == 0
    assert served == [ORDER | given]


def test_a_dry_run_that_is_a_parameter_runs_the_command_after_the_configuration(fiat, served):
    code, out, _ = fiat("order", "--table=2", "--dry_run")
    assert code == 0 and "order.table = '2'" in out
    assert served == [ORDER | {"table": "2", "dry_run": True}]


def test_flags_of_parameters_are_checked_and_explained(fiat, served):
    code, _, err = fiat("order", "--most_cost=much")
    assert code == 2 and "argument --most_cost" in err and not served
    _, out, _ = fiat("order", "--help")
    assert "--most_cost VALUE" in out and "at the most." in out
