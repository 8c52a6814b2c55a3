"""Servers that speak OpenAI's protocol: hosted ones, vLLM on GPU or TPU, llama.cpp."""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote

from fiat_jax.reasoning.calls import BatchState, Completion, Request, Result, Sent, Wait, canonical
from fiat_jax.reasoning.clients.http import CLOCKS_S, Http, Service, check, count, present, rows, said
from fiat_jax.reasoning.clients.text import BLANK_LINE, as_text, clean

Form = Literal["chat", "completion"]

PATHS: dict[Form, str] = {"chat": "/chat/completions", "completion": "/completions"}

_SERVICE = Service(
    "https://api.openai.com/v1", kind="chat completions", key="OPENAI_API_KEY", address="OPENAI_BASE_URL"
)
_MARK = "fiat_jax"  # what a batch's metadata has our mark under
_ENDED = ("completed", "failed", "expired", "cancelled")


@dataclass(frozen=True)
class OpenAI:
    """A model behind a server that speaks OpenAI's chat completions, such as OpenAI, vLLM or llama.cpp.

    The key is read from OPENAI_API_KEY at each call and kept nowhere; a local server may need none.
    Time-outs, dropped connections, answers that are not JSON and the statuses 408, 409, 429 and 5xx are
    tried again.

    Attributes:
      model: the model's name on the server.
      base_url: the address up to and with /v1; by default OPENAI_BASE_URL, else OpenAI's own.
      temperature: 0 is greedy; None leaves it to the server.
      max_tokens: the longest rationale; None leaves it to the server.
      seed: for servers that sample reproducibly.
      extra: further fields of the request body; one that is None removes a field.
      timeout_s: how long the server may stay silent.
      max_retries: attempts after the first.
      form: 'chat', or 'completion' for a base model that has no chat template and reads one text. There a
        rationale ends at a blank line or where the prompt says, since a base model goes on with an example.
    """

    model: str
    base_url: str | None = None
    temperature: float | None = 0.0
    max_tokens: int | None = 512
    seed: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 120.0
    max_retries: int = 8
    form: Form = "chat"

    def __post_init__(self) -> None:
        ours = ("messages", "model", "n", "prompt", "stream")
        check("OpenAI", self.extra, ours, self.timeout_s, self.max_retries)

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of the HTTP request."""
        asked: dict[str, Any] = {"messages": list(request.messages)}
        stop = request.stop
        if self.form == "completion":
            asked, stop = {"prompt": as_text(request.messages)}, request.stop or (BLANK_LINE,)
        fields = {
            "model": self.model,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "stop": list(stop) or None,
            **asked,
            **self.extra,
        }
        return present(fields)

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        """Asks the server; see `Client.complete`."""
        body = canonical(self.payload(request))
        return self._http.complete(PATHS[self.form], body, self.model, READERS[self.form], wait)

    def submit(self, sent: Sent, requests: Mapping[str, Request], others: Collection[str], wait: Wait) -> str:
        """Uploads the requests as a file and makes a batch of it; see `BatchClient.submit`."""
        endpoint = f"/v1{PATHS[self.form]}"
        lines = [
            canonical({"custom_id": key, "method": "POST", "url": endpoint, "body": self.payload(request)})
            for key, request in requests.items()
        ]
        name, text = f"fiat-{sent.mark}.jsonl", "\n".join(lines).encode()
        upload = {"data": {"purpose": "batch"}, "files": {"file": (name, text, "application/jsonl")}}
        file = self._http.ask("POST", "/files", self.model, _id, wait, "files", **upload)
        asked = {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"}
        body = canonical(asked | {"metadata": {_MARK: sent.mark}})
        return self._http.make_once(
            lambda: self._http.attempt("POST", "/batches", self.model, _id, "batches", content=body),
            lambda: self.find(sent, others, wait),
            wait,
        )

    def find(self, sent: Sent, others: Collection[str], wait: Wait) -> str | None:
        """Looks for our mark in the list of batches, the latest first; see `BatchClient.find`."""
        since, path = datetime.fromisoformat(sent.time).timestamp() - CLOCKS_S, "/batches?limit=100"
        after = ""
        while True:
            page, more = self._http.ask("GET", path + after, self.model, _page, wait, "batches")
            for batch, mark, _ in page:
                if mark == sent.mark:
                    return batch
            if not more or not page or page[-1][2] < since:
                return None
            after = f"&after={quote(page[-1][0], safe='')}"

    def state(self, batch: str, wait: Wait) -> BatchState:
        """How far a batch is; see `BatchClient.state`."""
        state = _state(self._batch(batch, wait))
        return replace(state, failure=self._http.shown(state.failure)[:400])

    def results(self, batch: str, wait: Wait) -> list[Result]:
        """Reads the files of answers and of errors; see `BatchClient.results`."""
        ended = self._batch(batch, wait)
        files = [ended[name] for name in ("output_file_id", "error_file_id") if ended.get(name)]
        paths = [f"/files/{quote(file, safe='')}/content" for file in files]
        return [
            result
            for path in paths
            for result in self._http.ask("GET", path, self.model, self._results, wait, "results")
        ]

    def _batch(self, batch: str, wait: Wait) -> dict[str, Any]:
        path = f"/batches/{quote(batch, safe='')}"
        return self._http.ask("GET", path, self.model, _known, wait, "batches")

    def _results(self, content: bytes) -> list[Result]:
        return [self._result(row["custom_id"], row) for row in rows(content)]

    def _result(self, key: str, row: Mapping[str, Any]) -> Result:
        if response := row.get("response"):
            status, body = int(response["status_code"]), response.get("body")
            if status == 200:
                return self._http.answered(key, body, READERS[self.form])
            return self._http.refused(key, status, body, self.model)
        error = row.get("error") or {}
        why = ": ".join(str(error[name]) for name in ("code", "message") if error.get(name))
        return Result(key, failure=self._http.shown(why or "the batch has no result for it"))

    @cached_property
    def _http(self) -> Http:
        return Http(_SERVICE, self.base_url, self.timeout_s, self.max_retries)


def read_chat(answer: Any) -> Completion:
    """The first choice of a chat completion."""
    return _choice(answer, answer["choices"][0]["message"]["content"] or "")


def read_text(answer: Any) -> Completion:
    """The first choice of a completion of a text."""
    return _choice(answer, answer["choices"][0]["text"])


READERS = {"chat": read_chat, "completion": read_text}


def _choice(answer: Any, text: str) -> Completion:
    usage = answer.get("usage") or {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    return Completion(
        text=clean(text),
        prompt_tokens=count(usage.get("prompt_tokens")),
        completion_tokens=count(usage.get("completion_tokens")),
        finish_reason=said(answer["choices"][0].get("finish_reason")),
        cached_tokens=count(cached),
        model=said(answer.get("model")),
        fingerprint=said(answer.get("system_fingerprint")),
    )


def _id(content: bytes) -> str:
    """What a server calls what was made."""
    return str(json.loads(content)["id"])


def _known(content: bytes) -> dict[str, Any]:
    """A batch, if it is one."""
    batch = dict(json.loads(content))
    _state(batch)
    return batch


def _page(content: bytes) -> tuple[list[tuple[str, str | None, float]], bool]:
    """Of a page of batches each its id, our mark and its time; and whether there are more pages."""
    page = json.loads(content)
    listed = [
        (str(each["id"]), (each.get("metadata") or {}).get(_MARK), float(each["created_at"]))
        for each in page["data"]
    ]
    return listed, bool(page.get("has_more"))


def _state(batch: Mapping[str, Any]) -> BatchState:
    status, counts = batch["status"], batch.get("request_counts") or {}
    errors = [each["message"] for each in (batch.get("errors") or {}).get("data") or []]
    why = f" ({'; '.join(errors[:3])})" if errors else ""
    return BatchState(
        ended=status in _ENDED,
        done=counts.get("completed") or 0,
        failed=counts.get("failed") or 0,
        failure="" if status == "completed" else f"the batch is {status}{why}",
        refused=status == "failed",
    )
