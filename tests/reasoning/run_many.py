"""Many annotations in a process of its own: run_many.py URL STORE EXAMPLES.

It prints, as JSON, the examples that have a rationale, the calls, the seconds and the processor's seconds
that they took, and the memory in use after a fifth of the calls and after all.
"""

import json
import resource
import sys
import threading
import time
from pathlib import Path

from fiat_jax.reasoning import Completion, OpenAI, Prompt, Request, Store, annotate
from fiat_jax.reasoning.calls import Wait

CONCURRENCY = 8


class Watched:
    """A client that looks at this process's memory after so many calls."""

    def __init__(self, client: OpenAI, after: tuple[int, ...]) -> None:
        self.model, self.payload = client.model, client.payload
        self.memory: list[int] = []
        self._client, self._after = client, after
        self._lock, self._calls = threading.Lock(), 0

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        completion = self._client.complete(request, wait)
        with self._lock:
            self._calls += 1
            if self._calls in self._after:
                self.memory.append(resident())
        return completion


def resident() -> int:
    """Bytes of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main(url: str, path: str, count: str) -> None:
    examples = [{"id": f"e-{n}", "question": f"{n} " + "passage " * 100} for n in range(int(count))]
    client = Watched(OpenAI("fake", base_url=url), after=(int(count) // 5, int(count)))
    prompt = Prompt("{question}", instruction="Think.")
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    with Store(path) as store:
        summary = annotate({"train": examples}, prompt, client, store, concurrency=CONCURRENCY)
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "answered": summary.answered,
                "calls": summary.calls,
                "seconds": time.monotonic() - began,
                "cpu": after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime,
                "memory": client.memory,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
