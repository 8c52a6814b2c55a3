"""A server on loopback that answers like OpenAI's /v1, or as other providers do, and fails as real ones do.

It counts, from its own side, what it was asked and what it answered in full, by the text of the last
message; and it can withhold every further answer, so that a test knows what is in flight.
"""

import contextlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SILENCE_S = 2.5


@dataclass(frozen=True)
class Reply:
    """What to answer instead of a completion. A status of 0 is none at all: the connection is dropped.

    `good` is whether a status of 200 counts as an answer.
    """

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    good: bool = True


Fault = Callable[[str, int], Reply | None]
"""The reply to a request's n-th attempt (from 0), or None to answer it properly."""

RATE_LIMIT = Reply(429, '{"error": {"message": "slow down"}}', {"Retry-After": "1"})
BROKEN = Reply(500, '{"error": {"message": "out of order"}}')
DROPPED = Reply(0)
SILENT = Reply(0, "after a while")
MALFORMED = Reply(200, '{"choices": [{"message": {"role": "assist', good=False)
RESET = Reply(200, '{"choices": [{"message": {"role": "assistant"', {"Content-Length": "999"}, good=False)
ERROR_BODY = Reply(200, '{"error": {"message": "overloaded"}}', good=False)
PAGE = Reply(200, "<html>please sign in</html>", {"Content-Type": "text/html"}, good=False)


def flaky(rate: float, seed: int, ways: Sequence[Reply] = (RATE_LIMIT, BROKEN, SILENT, MALFORMED)) -> Fault:
    """Fails a share of the attempts, the same ones each time, in several ways."""

    def fault(text: str, attempt: int) -> Reply | None:
        draw = random.Random(f"{seed} {attempt} {text}")
        return draw.choice(ways) if draw.random() < rate else None

    return fault


def completion(text: str, **fields: object) -> str:
    """A body as OpenAI writes it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} | fields
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return json.dumps(
        {
            "object": "chat.completion",
            "model": "fake-1",
            "system_fingerprint": "fp",
            "choices": [choice],
            "usage": usage,
        }
    )


def text_completion(text: str, **fields: object) -> str:
    """The same for a text that is continued."""
    choice = {"index": 0, "text": text, "finish_reason": "stop"} | fields
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}}
    return json.dumps({"object": "text_completion", "choices": [choice], "usage": usage})


def generated(text: str, **fields: object) -> str:
    """A body as Gemini writes it, after it thought."""
    parts = [{"text": "hm", "thought": True}, {"text": text}]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"} | fields
    usage = {"promptTokenCount": 11, "cachedContentTokenCount": 5}
    usage |= {"candidatesTokenCount": 4, "thoughtsTokenCount": 3}
    return json.dumps({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "fake-1"})


def message(text: str, **fields: object) -> str:
    """A body as Anthropic writes it, after it thought."""
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}]
    usage = {"input_tokens": 2, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 5}
    usage |= {"output_tokens": 7}
    body = {"type": "message", "model": "fake-1", "role": "assistant", "content": content}
    body |= {"stop_reason": "end_turn"}
    return json.dumps(body | {"usage": usage} | fields)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # with the usual 5, many callers at once are reset


class FakeOpenAI:
    """The server, as a context manager; ended, it has finished every answer it began."""

    base, paths = "/v1", ("/chat/completions", "/completions")

    def text_of(self, body: dict) -> str:
        """What a request is counted by: its last message."""
        return body["messages"][-1]["content"] if "messages" in body else body["prompt"]

    def answer_to(self, path: str, text: str) -> str:
        """The body of a proper answer."""
        made = completion if path.endswith("/chat/completions") else text_completion
        return made(f"thoughts on {text}")

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
        self._most: int | None = None
        self._seconds, self._in_flight = 0.0, 0
        self._gate, self._answer_held = threading.Event(), False
        self._server = self._listening(0)
        self._epoch = 0

    @property
    def url(self) -> str:
        """The base URL; it changes when held calls are dropped, and calls to an earlier one get no answer."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._epoch}{self.base}"

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

    def at_a_time(self, most: int, seconds: float) -> None:
        """Takes so long for each answer, and refuses what comes while so many are being answered."""
        self._most, self._seconds = most, seconds

    def refuse(self, seconds: float) -> None:
        """Finishes the answers that are begun, and refuses connections for a while."""
        port = self._server.server_port
        self._close()
        time.sleep(seconds)
        self._server = self._listening(port)
        self.__enter__()

    def __enter__(self) -> "FakeOpenAI":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.release(answer=False)
        self._close()

    def _listening(self, port: int) -> _Server:
        server = _Server(("127.0.0.1", port), self._handler())
        server.daemon_threads = False
        return server

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _reply(self, path: str, text: str) -> Reply:
        """Decides, under the lock, what one attempt gets; holds it first if it shall be held."""
        with self._lock:
            if path.removeprefix(f"/{self._epoch}{self.base}") not in self.paths:
                return DROPPED
            attempt = self.asked[text]
            self.asked[text] += 1
            if self._most is not None and self._in_flight >= self._most:
                return Reply(429)
            self._in_flight += 1
            hold = self._limit is not None and self._begun >= self._limit
            reply = None if hold else self.fault(text, attempt)
            self.held += hold
            self._begun += not hold and reply is None
        if hold:
            self._gate.wait()
            reply = None if self._answer_held else DROPPED
        elif reply == SILENT:
            time.sleep(SILENCE_S)
        time.sleep(self._seconds)
        with self._lock:
            self._in_flight -= 1
        return reply or Reply(200, self.answer_to(path, text))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = fake.text_of(body)
                with fake._lock:
                    fake.times.append(time.monotonic())
                    fake.headers.append(dict(self.headers))
                    fake.bodies.append(body)
                reply = fake._reply(self.path, text)
                with contextlib.suppress(OSError):  # the client may be gone
                    if reply.status:
                        self._write(reply)
                    proper = reply.status == 200 and reply.good
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
                if reply == RESET:  # closed at once, unread bytes and all
                    self.wfile.flush()
                    option = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
                    self.connection.close()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class FakeGemini(FakeOpenAI):
    """The same, as Google answers."""

    base, paths = "/v1beta", ("/models/fake:generateContent",)

    def text_of(self, body: dict) -> str:
        return body["contents"][-1]["parts"][0]["text"]

    def answer_to(self, path: str, text: str) -> str:
        return generated(f"thoughts on {text}")


class FakeAnthropic(FakeOpenAI):
    """The same, as Anthropic answers."""

    paths = ("/messages",)

    def text_of(self, body: dict) -> str:
        return body["messages"][-1]["content"][0]["text"]

    def answer_to(self, path: str, text: str) -> str:
        return message(f"thoughts on {text}")
