"""Scripts run in a process of their own, whose processor stands for several devices."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path


def run(script: Path, *arguments: object, devices: int = 8) -> None:
    """Runs a script beside this repository's package; a failure is that of the test."""
    flags = [os.environ.get("XLA_FLAGS", ""), f"--xla_force_host_platform_device_count={devices}"]
    if version("jaxlib").startswith("0.10."):
        flags.append("--xla_cpu_use_fusion_emitters=false")  # compiles in a third of the time; gone in 0.11
    environment = os.environ | {"XLA_FLAGS": " ".join(flags)}
    subprocess.run([sys.executable, str(script), *map(str, arguments)], env=environment, check=True)
