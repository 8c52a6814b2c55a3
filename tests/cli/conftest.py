"""`fiat init` in a folder of its own."""

from pathlib import Path

import pytest

from fiat_jax.cli import main


@pytest.fixture
def init(tmp_path, monkeypatch, capsys):
    """Runs `fiat init` on a file of some content: the exit code, and all that it says."""
    monkeypatch.chdir(tmp_path)

    def run(content, *words, name="rows.csv"):
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
        code = main(["init", "--data", name, *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run
