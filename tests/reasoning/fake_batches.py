"""Servers on loopback that take batches, as OpenAI and Anthropic do, and count what each request was put in.

What they hold outlives them: they can be ended and started again on the same port. What is asked of them can
be withheld before or after it is done, or answered with a fault.
"""

import json
import re
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fake_openai import DROPPED, Reply, completion, message, text_completion

ANSWERED, ERRORED, BROKEN, EXPIRED, EMPTY = "answered", "errored", "broken", "expired", "empty"
REFUSED = "this request is too long"


@dataclass
class Made:
    """A batch: its requests by custom_id, and what it is called and said to be."""

    id: str
    requests: Mapping[str, dict[str, Any]]
    made: float = field(default_factory=time.time)
    metadata: Any = None
    gone: bool = False


@dataclass
class Hold:
    """What withholds the answers to something: before it is done, or after."""

    what: str
    after: bool
    seen: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)


class FakeBatches(ABC):
    """The server, as a context manager.

    Args:
      ready_s: how long a batch takes.
      fate: what becomes of a request, by its last message.

    Attributes:
      asked: how many batches each request was put in, by custom_id.
      calls: how often each thing was asked for, as in 'POST /batches'.
      faults: replies to give in the place of the next ones, by what is asked; with 'after ' before it, it
        is done all the same.
    """

    def __init__(self, ready_s: float = 0.0, fate: Callable[[str], str] = lambda text: ANSWERED) -> None:
        self.ready_s, self.fate = ready_s, fate
        self.batches: dict[str, Made] = {}
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.faults: dict[str, list[Reply]] = {}
        self.page = 100
        self._hold: Hold | None = None
        self._lock = threading.Lock()
        self._server = self._listening(0)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def hold(self, what: str, after: bool = False) -> Hold:
        """Withholds the answers to what is asked so, until `drop`."""
        self._hold = Hold(what, after)
        return self._hold

    def drop(self) -> None:
        """Ends the withholding: what was held gets no answer, and is not done if it was held before."""
        if self._hold:
            held, self._hold = self._hold, None
            held.gate.set()

    def stop(self) -> None:
        """Ends the server; what it holds stays."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def start(self) -> None:
        """Starts it again."""
        self._server = self._listening(self._server.server_port)
        self.__enter__()

    def put_in(self, requests: Mapping[str, dict[str, Any]], metadata: Any = None) -> Made:
        """Makes a batch."""
        with self._lock:
            made = Made(f"batch-{len(self.batches)}", dict(requests), metadata=metadata)
            self.batches[made.id] = made
            self.asked.update(made.requests.keys())
        return made

    def ended(self, batch: Made) -> bool:
        return time.time() >= batch.made + self.ready_s

    def fates(self, batch: Made) -> dict[str, str]:
        """What became of each request, by custom_id; the last comes first, as no order is promised."""
        return {id: self.fate(self.text_of(body)) for id, body in reversed(batch.requests.items())}

    def listed(self, path: str, after: str, describe: Callable[[Made], dict]) -> Reply:
        """A page of batches, the latest first."""
        every = sorted(self.batches.values(), key=lambda batch: -batch.made)
        if found := re.search(f"{after}=([^&]+)", path):
            every = every[[batch.id for batch in every].index(found[1]) + 1 :]
        page = [describe(batch) for batch in every[: self.page]]
        return Reply(200, json.dumps({"data": page, "has_more": len(every) > self.page}))

    @abstractmethod
    def text_of(self, body: dict[str, Any]) -> str:
        """The last message of a request."""

    @abstractmethod
    def answer(self, what: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """The reply to what is asked, as in 'POST /batches'."""

    def __enter__(self) -> "FakeBatches":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.drop()
        self.stop()

    def _listening(self, port: int) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        server.daemon_threads = False
        return server

    def _serve(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        path = path.removeprefix("/v1")
        what = f"{method} {re.sub('(batch|file)-[0-9]+', 'ID', path.split('?')[0])}"
        with self._lock:
            self.calls[what] += 1
            self.headers.append(dict(headers))
        hold = self._hold if self._hold and self._hold.what == what else None
        if hold and not hold.after:
            hold.seen.set()
            hold.gate.wait()
            return DROPPED
        if self.faults.get(what):
            return self.faults[what].pop(0)
        reply = self.answer(what, path, headers, body)
        if hold:
            hold.seen.set()
            hold.gate.wait()
            return DROPPED
        late = self.faults.get(f"after {what}")
        return late.pop(0) if late else reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply("GET")

            def do_POST(self) -> None:
                self._reply("POST")

            def _reply(self, method: str) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                reply = fake._serve(method, self.path, self.headers, body)
                if not reply.status:
                    return
                try:
                    self.send_response(reply.status)
                    sent = reply.body.encode()
                    for name, value in ({"Content-Length": str(len(sent))} | reply.headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(sent)
                except OSError:  # the client may be gone
                    pass

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class FakeOpenAIBatches(FakeBatches):
    """As OpenAI takes them: a file of requests, a batch of that file, and files of what came of it."""

    key_header = "Authorization"
    sending, looking, reading = "POST /batches", "GET /batches/ID", "GET /files/ID/content"
    refusal: str | None = None

    def text_of(self, body: dict[str, Any]) -> str:
        return body["messages"][-1]["content"] if "messages" in body else body["prompt"]

    def answer(self, what: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if what == "POST /files":
            boundary = headers["Content-Type"].split("boundary=")[1].encode()
            parts = [part.split(b"\r\n\r\n", 1) for part in body.split(b"--" + boundary)[1:-1]]
            fields = {re.search(b'name="([^"]+)"', head)[1]: data[: -len(b"\r\n")] for head, data in parts}
            assert fields[b"purpose"] == b"batch"
            return Reply(200, json.dumps({"id": self.keep(fields[b"file"]), "object": "file"}))
        if what == self.sending:
            return Reply(200, json.dumps(self.describe(self.make(json.loads(body)))))
        if what == "GET /batches":
            return self.listed(path, "after", self.describe)
        if what == self.looking:
            batch = self.batches.get(path.rsplit("/", 1)[1])
            if batch is None or batch.gone:
                return Reply(404, '{"error": {"message": "no such batch"}}')
            return Reply(200, json.dumps(self.describe(batch)))
        if what == self.reading:
            return Reply(200, self.files[path.split("/")[2]].decode())
        return Reply(404)

    def keep(self, content: bytes) -> str:
        self.files[f"file-{len(self.files)}"] = content
        return f"file-{len(self.files) - 1}"

    def make(self, asked: dict[str, Any]) -> Made:
        rows = [json.loads(line) for line in self.files[asked["input_file_id"]].split(b"\n")]
        assert {row["url"] for row in rows} == {asked["endpoint"]} and asked["completion_window"] == "24h"
        return self.put_in({row["custom_id"]: row["body"] for row in rows}, asked["metadata"])

    def describe(self, batch: Made) -> dict[str, Any]:
        told = {"id": batch.id, "object": "batch", "metadata": batch.metadata}
        told |= {"created_at": int(batch.made), "status": "in_progress"}
        told |= {"request_counts": {"total": len(batch.requests), "completed": 1, "failed": 0}}
        if self.refusal:
            return told | {"status": "failed", "errors": {"data": [{"message": self.refusal, "line": 1}]}}
        if not self.ended(batch):
            return told
        fates = self.fates(batch)
        rows = {id: self.row(id, batch.requests[id], fate) for id, fate in fates.items()}
        good = [row for id, row in rows.items() if fates[id] in (ANSWERED, EMPTY)]
        bad = [row for id, row in rows.items() if fates[id] not in (ANSWERED, EMPTY)]
        counts = {"total": len(rows), "completed": len(good), "failed": len(bad)}
        files = {"output_file_id": self.written(good), "error_file_id": self.written(bad)}
        return (
            told
            | files
            | {"status": "expired" if EXPIRED in fates.values() else "completed"}
            | {"request_counts": counts}
        )

    def written(self, rows: list[dict[str, Any]]) -> str | None:
        return self.keep("".join(json.dumps(row) + "\n" for row in rows).encode()) if rows else None

    def row(self, id: str, body: dict[str, Any], fate: str) -> dict[str, Any]:
        error = {"code": "batch_expired", "message": "it was not executed in time"}
        if fate == EXPIRED:
            return {"id": "r", "custom_id": id, "response": None, "error": error}
        status = {ANSWERED: 200, EMPTY: 200, ERRORED: 400, BROKEN: 500}[fate]
        text = f"thoughts on {self.text_of(body)}" if fate == ANSWERED else ""
        told = (
            json.loads((completion if "messages" in body else text_completion)(text))
            if status == 200
            else {"error": {"message": REFUSED}}
        )
        return {"id": "r", "custom_id": id, "response": {"status_code": status, "body": told}, "error": None}


class FakeAnthropicBatches(FakeBatches):
    """As Anthropic takes them: the requests in one body, and lines of what came of them."""

    key_header = "x-api-key"
    sending, looking = "POST /messages/batches", "GET /messages/batches/ID"
    reading = "GET /messages/batches/ID/results"

    def text_of(self, body: dict[str, Any]) -> str:
        return body["messages"][-1]["content"][0]["text"]

    def answer(self, what: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if what == self.sending:
            rows = json.loads(body)["requests"]
            assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", row["custom_id"]) for row in rows)
            return Reply(
                200, json.dumps(self.describe(self.put_in({r["custom_id"]: r["params"] for r in rows})))
            )
        if what == "GET /messages/batches":
            return self.listed(path, "after_id", self.describe)
        batch = self.batches.get(path.split("/")[3])
        if batch is None or batch.gone:
            return Reply(404, '{"error": {"type": "not_found_error", "message": "no such batch"}}')
        if what == self.looking:
            return Reply(200, json.dumps(self.describe(batch)))
        fates = self.fates(batch)
        lines = [{"custom_id": id, "result": self.row(batch.requests[id], fates[id])} for id in fates]
        return Reply(200, "".join(json.dumps(line) + "\n" for line in lines))

    def describe(self, batch: Made) -> dict[str, Any]:
        fates, ended = Counter(self.fates(batch).values()), self.ended(batch)
        counts = {
            "processing": 0 if ended else len(batch.requests),
            "succeeded": (fates[ANSWERED] + fates[EMPTY]) * ended,
            "errored": (fates[ERRORED] + fates[BROKEN]) * ended,
            "canceled": 0,
            "expired": fates[EXPIRED] * ended,
        }
        return {
            "id": batch.id,
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": datetime.fromtimestamp(batch.made, UTC).isoformat().replace("+00:00", "Z"),
            "results_url": "https://elsewhere.example/not-to-be-followed" if ended else None,
        }

    def row(self, body: dict[str, Any], fate: str) -> dict[str, Any]:
        if fate == EXPIRED:
            return {"type": "expired"}
        if fate in (ANSWERED, EMPTY):
            text = f"thoughts on {self.text_of(body)}" if fate == ANSWERED else ""
            return {"type": "succeeded", "message": json.loads(message(text))}
        kind = "invalid_request_error" if fate == ERRORED else "api_error"
        return {"type": "errored", "error": {"type": "error", "error": {"type": kind, "message": REFUSED}}}
