"""A predictor without a model, whose answers a test knows and whose decoding it can hold; and a server of it.

An answer is the row's text reversed, so that a wrong or misplaced one shows.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np

from fiat_jax.decoding.stream import Answer, Request
from fiat_jax.errors import DataError
from fiat_jax.reasoning import CallError
from fiat_jax.serving.limits import Limits
from fiat_jax.serving.schemas import About
from fiat_jax.serving.server import Server
from fiat_jax.serving.service import Adapter, Loaded

BATCH = 4
ADAPTERS = {"first": 0, "second": 1}
ABOUT = About(
    model="fake", task="fake", variant="fiat", fields=["text"], adapters=list(ADAPTERS), limits={"rows": 1}
)


class FakePredictor:
    """Holds what it decodes until `go` is set; `batches` are the texts that were decoded together."""

    def __init__(self) -> None:
        self.go, self.reason = threading.Event(), threading.Event()
        self.go.set()
        self.reason.set()
        self.batches: list[list[str]] = []
        self.asked: list[str] = []
        self.broken = self.closed = False

    def check(self, row, where):
        if not isinstance(row.get("text"), str):
            raise DataError(f"{where}: expected a field 'text', found none.")
        return {"id": row["text"], **row}

    def rationale(self, row):
        self.asked.append(row["text"])
        self.reason.wait()
        if "unreasonable" in row["text"]:
            raise CallError("gave up after 3 attempts")
        return f"thoughts on {row['text']}"

    def unsure(self, written):
        return False

    def ask(self, row):
        return self.rationale(row)

    def request(self, row, rationale, seed, adapter=-1):
        if len(row["text"]) > 100:
            raise DataError(f"example {row['id']}: expected at most 100 tokens, found {len(row['text'])}.")
        return Request(np.frombuffer(row["text"].encode(), np.uint8), seed or 0, adapter=adapter), {}

    def answer(self, row, rationale, written, cut):
        text = bytes(written.tokens[0].astype(np.uint8)).decode()
        return {**row, "prediction": text, "score": -1.0, "tokens": len(text), "rationale": rationale or ""}

    def close(self):
        self.closed = True

    def run(self, take) -> Iterator[tuple[object, Answer]]:
        while (given := take(BATCH, True)) is not None:
            self.batches.append([bytes(request.inputs).decode() for _, request in given])
            self.go.wait()
            if self.broken:
                raise RuntimeError("the device is lost")
            for key, request in given:
                shifted = f"{bytes(request.inputs).decode()[::-1]} {request.adapter} {request.seed}"
                yield key, Answer((np.frombuffer(shifted.encode(), np.uint8),), (-1.0,))


def expected(text: str, adapter: int = 0, seed: int = 0) -> dict:
    prediction = f"{text[::-1]} {adapter} {seed}"
    return {
        "id": text,
        "prediction": prediction,
        "score": -1.0,
        "tokens": len(prediction),
        "rationale": f"thoughts on {text}",
        "cut": {},
    }


class Serving:
    """A server on a thread, and a client of it."""

    def __init__(self, server: Server, predictor: FakePredictor) -> None:
        self.predictor, self.server = predictor, server
        self.client = httpx.Client(base_url=server.address, timeout=30)
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.server.run()
        except BaseException as error:
            self.failure = error

    def ask(self, inputs, **others) -> httpx.Response:
        return self.client.post("/answer", json={"inputs": inputs, **others})

    def metric(self, name: str) -> float:
        lines = dict(line.rsplit(" ", 1) for line in self.client.get("/metrics").text.splitlines())
        return float(lines.get(name, 0))

    def wait_for(self, name: str, value: float) -> None:
        until(lambda: self.metric(name) == value)


@contextmanager
def serving(limits: Limits | None = None, load=None):
    """A server of a fake predictor, ready unless another way to load it is given."""
    predictor = FakePredictor()
    loaded = Loaded(predictor.run, {name: Adapter(predictor, n) for name, n in ADAPTERS.items()})
    server = Server(load or (lambda: loaded), ABOUT, limits or Limits(), "127.0.0.1", 0)
    running = Serving(server, predictor)
    running.thread.start()
    try:
        if load is None:
            until(lambda: running.client.get("/health").status_code == 200)
        yield running
    finally:
        predictor.go.set()
        predictor.reason.set()
        server.stop()
        running.thread.join(30)
        assert not running.thread.is_alive()


def until(happens, seconds: float = 20) -> None:
    """Returns when something is so, which must be soon."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
