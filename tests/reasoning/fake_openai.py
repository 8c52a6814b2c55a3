"""A server on loopback that answers like OpenAI's /v1/chat/completions, and fails as real ones do.

It counts, from its own side, what it was asked and what it answered in full, by the text of the last
message; and it can withhold every further answer, so that a test knows what is in flight.
"""

import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SILENCE_S = 2.5


@dataclass(frozen=True)
class Reply:
    """What to answer instead of a completion. A status of 0 is none at all: the connection is dropped."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


Fault = Callable[[str, int], Reply | None]
"""The reply to a request's n-th attempt (from 0), or None to answer it properly."""

RATE_LIMIT = Reply(429, '{"error": {"message": "slow down"}}', {"Retry-After": "1"})
BROKEN = Reply(500, '{"error": {"message": "out of order"}}')
DROPPED = Reply(0)
SILENT = Reply(0, "after a while")
MALFORMED = Reply(200, '{"choices": [{"message": {"role": "assist')


def flaky(rate: float, seed: int) -> Fault:
    """Fails a share of the attempts, the same ones each time, in all four ways."""

    def fault(text: str, attempt: int) -> Reply | None:
        draw = random.Random(f"{seed} {attempt} {text}")
        return draw.choice([RATE_LIMIT, BROKEN, SILENT, MALFORMED]) if draw.random() < rate else None

    return fault


def completion(text: str, **fields: object) -> str:
    """A body as OpenAI writes it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} | fields
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return json.dumps({"object": "chat.completion", "model": "fake", "choices": [choice], "usage": usage})


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # with the usual 5, many callers at once are reset


class FakeOpenAI:
    """The server, as a context manager; ended, it has finished every answer it began."""

    def __init__(self, fault: Fault = lambda text, attempt: None) -> None:
        self.fault = fault
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.failed: Counter[int] = Counter()
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.bodies: list[dict] = []
        self._lock = threading.Lock()
        self.held = 0
        self._begun = 0
        self._limit: int | None = None
        self._gate, self._answer_held = threading.Event(), False
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        self._epoch = 0

    @property
    def url(self) -> str:
        """The base URL; it changes when held calls are dropped, and calls to an earlier one get no answer."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._epoch}/v1"

    def hold_after(self, answers: int) -> None:
        """Answers so many more requests, then withholds whatever comes until `release`."""
        self._gate.clear()
        self._begun, self._limit, self.held = 0, answers, 0

    def release(self, answer: bool) -> None:
        """Ends the withholding: what was held is answered, or its connection dropped."""
        with self._lock:
            self._answer_held, self._limit = answer, None
            self._epoch += not answer
        self._gate.set()

    def __enter__(self) -> "FakeOpenAI":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.release(answer=False)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _reply(self, path: str, text: str) -> Reply:
        """Decides, under the lock, what one attempt gets; holds it first if it shall be held."""
        with self._lock:
            if path != f"/{self._epoch}/v1/chat/completions":
                return DROPPED
            attempt = self.asked[text]
            self.asked[text] += 1
            hold = self._limit is not None and self._begun >= self._limit
            reply = None if hold else self.fault(text, attempt)
            self.held += hold
            self._begun += not hold and reply is None
        if hold:
            self._gate.wait()
            reply = None if self._answer_held else DROPPED
        elif reply == SILENT:
            time.sleep(SILENCE_S)
        return reply or Reply(200, completion(f"thoughts on {text}"))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = body["messages"][-1]["content"]
                with fake._lock:
                    fake.times.append(time.monotonic())
                    fake.headers.append(dict(self.headers))
                    fake.bodies.append(body)
                reply = fake._reply(self.path, text)
                with contextlib.suppress(OSError):  # the client may be gone
                    if reply.status:
                        self._write(reply)
                    proper = reply.status == 200 and reply != MALFORMED
                    with fake._lock:
                        fake.answered[text] += proper
                        fake.failed[reply.status] += not proper

            def _write(self, reply: Reply) -> None:
                body = reply.body.encode()
                self.send_response(reply.status)
                for name, value in ({"Content-Length": str(len(body))} | reply.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
