"""A search in a process of its own that kills itself: run_prompt_search.py DATA RUN CALLS."""

import os
import signal
import sys
from pathlib import Path

from fake_reasoner import FakeReasoner
from study.test_prompt_search import ALL, START, how

from fiat_jax.data import Jsonl, Task, Template
from fiat_jax.reasoning.calls import digest
from fiat_jax.records import fill
from fiat_jax.study.engineering.prompts import search_prompt


class Mortal(FakeReasoner):
    """Notes each request in a file, and is killed when it is asked one more than it may be."""

    def complete(self, request, wait=None):
        if len(self.requests) == self.calls:
            os.kill(os.getpid(), signal.SIGKILL)
        with (self.run / "asked.txt").open("a") as file:
            file.write(digest(self.payload(request)) + "\n")
        return super().complete(request)


def main(data: str, run: str, calls: str) -> None:
    files = {split: f"{data}/{split}.jsonl" for split in ("train", "validation", "test")}
    task = Task(name="books", source=Jsonl(**files), template=Template(), vocabulary="byte")
    client = Mortal({fill(START.input, row): row["answer"] for row in task.rows("train")})
    client.run, client.calls = Path(run), int(calls)
    search_prompt(client.run, task, START, client, how(*ALL, concurrency=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
