"""Processes of one job on this machine, as the tests start them."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

FIAT = ("-c", "import sys; from fiat_jax.cli import main; sys.exit(main())")
QUICK = ("--distributed", "--heartbeat_timeout=15", "--join_timeout=300")


def start(
    folder: Path, size: int, *words: str, devices: int = 1, address: str | None = None
) -> list[subprocess.Popen]:
    """Starts Python with the same words in each process; one that is alone is no job."""
    if address is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
    return [start_one(folder, size, at, address, *words, devices=devices) for at in range(size)]


def start_one(
    folder: Path, size: int, at: int, address: str, *words: str, devices: int = 1
) -> subprocess.Popen:
    """Starts one process of a job."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    job = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(size), "JAX_PROCESS_ID": str(at)}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"XLA_FLAGS": flags} | (job if size > 1 else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(processes: list[subprocess.Popen], timeout: float = 1200) -> list[tuple[int, str, str]]:
    """Exit code, standard output and standard error of each."""
    try:
        said = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *one) for process, one in zip(processes, said, strict=True)]


def fiat(folder: Path, size: int, *words: str, devices: int = 1) -> list[tuple[int, str, str]]:
    """Runs a command to its end in all processes of a job, or in one that is none."""
    return ends(start(folder, size, *FIAT, *words, *(QUICK if size > 1 else ()), devices=devices))


def wait_for_step(run_dir: Path, step: int, processes: list[subprocess.Popen]) -> None:
    """Returns as soon as a run has logged a step."""
    path = run_dir / "metrics.jsonl"
    while not (path.exists() and f'"step": {step},' in path.read_text()):
        for process in processes:
            assert process.poll() is None, process.communicate()
        time.sleep(0.02)
