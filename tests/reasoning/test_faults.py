"""`fiat annotate` against a server that fails in eight ways at once.

Nothing is lost, nothing repeated, the budget is kept to the call, and the key is shown nowhere.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from beam_task import write_rows
from fake_openai import (
    BROKEN,
    ERROR_BODY,
    MALFORMED,
    PAGE,
    RATE_LIMIT,
    RESET,
    SILENT,
    FakeOpenAI,
    Reply,
    flaky,
)

from fiat_jax.reasoning import open_rationales

REPOSITORY = Path(__file__).parents[2]
COUNT, POISON = 240, 12
KEY = "sk-canary-that-nobody-may-see"
WAYS = (
    RATE_LIMIT,
    RESET,
    SILENT,
    BROKEN,
    ERROR_BODY,
    MALFORMED,
    PAGE,
    Reply(500, f'{{"error": {{"message": "Bearer {KEY} has no luck"}}}}'),
    Reply(200, f'{{"error": {{"message": "your key {KEY}"}}}}', good=False),
)
"""All but refused connections, which the server does for a while now and then; two of them tell the key."""


class Command:
    """`fiat` in a folder with rows; all that it says goes to a file there."""

    def __init__(self, folder: Path, server: FakeOpenAI) -> None:
        rows = [{"id": f"e-{n}", "question": f"question {n}", "answer": "LABEL"} for n in range(COUNT)]
        write_rows(folder / "rows.jsonl", rows)
        self.folder, self.store = folder, folder / "store" / "r.sqlite"
        self.said = ""
        self._annotation = {
            "annotate.task": "@Task()",
            "Task.name": "'tiny'",
            "Task.source": "@Jsonl()",
            "Task.template": "@Template()",
            "Task.vocabulary": "'byte'",
            "Jsonl.train": f"'{folder}/rows.jsonl'",
            "Template.input": "'{question}'",
            "Template.target": "'{answer}'",
            "Template.cut": "''",
            "annotate.client": "@OpenAI()",
            "annotate.prompt": "@Prompt()",
            "annotate.store": f"'{self.store}'",
            "annotate.concurrency": "16",
            "annotate.price": "@Price()",
            "Price.read": "1000.0",
            "Price.written": "1000.0",
            "OpenAI.model": "'fake'",
            "OpenAI.base_url": f"'{server.url}'",
            "OpenAI.timeout_s": "2.0",
            "OpenAI.max_tokens": "20",
            "OpenAI.max_retries": "14",
            "Prompt.input": "'{question}'",
        }

    def annotate(self, *flags: str) -> int:
        settings = (f"--gin.{name}={value}" for name, value in self._annotation.items())
        return self("annotate", *settings, "--verbose", *flags)

    def __call__(self, *words: str) -> int:
        code = "import sys; from fiat_jax.cli import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OPENAI_API_KEY": KEY},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        self.said = done.stdout + done.stderr
        with (self.folder / "log.txt").open("a") as log:
            log.write(self.said)
        return done.returncode


def fault(text: str, attempt: int) -> Reply | None:
    if int(text.split()[-1]) % (COUNT // POISON) == 7:
        return Reply(400, f'{{"error": {{"message": "Bearer {KEY} sends too much"}}}}')
    return flaky(0.3, 11, WAYS)(text, attempt)


@pytest.mark.slow
def test_eight_ways_to_fail_lose_nothing_repeat_nothing_pass_no_budget_and_show_no_key(
    tmp_path: Path,
) -> None:
    with FakeOpenAI(fault) as server:
        fiat = Command(tmp_path, server)
        ended = threading.Event()

        def refuse() -> None:
            while not ended.wait(3):
                server.refuse(0.2)

        refusing = threading.Thread(target=refuse)
        refusing.start()
        try:
            assert fiat.annotate("--max_calls=80") == 5
            assert "max_calls = 80 is reached" in fiat.said
            failed = fiat.said.count("set aside: e-")
            assert server.answered.total() == len(open_rationales(fiat.store)) == 80 - failed
            answers = server.answered.total()

            each, most = (11 + 7) / 1000, (400 + 64 + 20) / 1000
            assert fiat.annotate("--max-cost=1.5") == 5
            spent = (server.answered.total() - answers) * each
            assert 1.5 - most < spent <= 1.5

            assert fiat.annotate() == 1
        finally:
            ended.set()
            refusing.join()
        assert f"{COUNT - POISON} of {COUNT} examples have a rationale" in fiat.said
        asked = server.asked.total()
        assert fiat.annotate() == 1 and "asked again with retry_failed = True" in fiat.said
        assert server.asked.total() == asked
        assert fiat.annotate("--status") == 0 and fiat.said.count("sends too much") == POISON
        assert fiat("rationales", f"--store={fiat.store}", "--output=all.jsonl") == 0
        server.fault = lambda text, attempt: None
        assert fiat.annotate("--retry_failed") == 0

    assert open_rationales(fiat.store) == {f"e-{n}": f"thoughts on question {n}" for n in range(COUNT)}
    assert set(server.answered.values()) == {1} and server.answered.total() == COUNT
    log = (tmp_path / "log.txt").read_text()
    for said in (
        "Connection refused",
        "answered 429",
        "answered 500",
        "peer closed connection",
        "was silent",
        "no chat completion",
    ):
        assert said in log, f"the server was to fail so that the client says {said!r}"
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert {"r.sqlite", "log.txt", "all.jsonl"} <= {each.name for each in files}
    assert not [each for each in files if KEY.encode() in each.read_bytes()]
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
