"""What all clients over HTTP promise, against servers of their protocols; and what each has alone."""

import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
from fake_openai import (
    BROKEN,
    DROPPED,
    ERROR_BODY,
    MALFORMED,
    PAGE,
    RATE_LIMIT,
    RESET,
    FakeAnthropic,
    FakeGemini,
    FakeOpenAI,
    Reply,
    generated,
    message,
    text_completion,
)

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import Anthropic, CallError, Client, Completion, Gemini, OpenAI, Request
from fiat_jax.reasoning.calls import canonical

KEY = "sk-canary-never-to-be-seen"
CHAT = (
    {"role": "system", "content": "Reason."},
    {"role": "user", "content": "1 + 1?"},
    {"role": "assistant", "content": "one more"},
    {"role": "user", "content": "why"},
)
REQUEST = Request("e-1", CHAT)


class Case(NamedTuple):
    make: Callable[..., Client]
    server: type[FakeOpenAI]
    variable: str
    header: str
    sent: dict[str, Any]
    answer: Completion


def texts(*words: str) -> list[dict[str, str]]:
    return [{"text": word} for word in words]


def block(text: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text, **fields}]


LIMITS = {"model": "fake", "temperature": 0.0, "max_tokens": 512}
KEPT = {"cache_control": {"type": "ephemeral"}}
ONE_TEXT = "Reason.\n\n1 + 1?\none more\n\nwhy\n"
CASES = {
    "OpenAI": Case(
        OpenAI,
        FakeOpenAI,
        "OPENAI_API_KEY",
        f"Authorization: Bearer {KEY}",
        {**LIMITS, "messages": list(CHAT)},
        Completion("thoughts on why", 11, 7, "stop", None, "fake-1", "fp"),
    ),
    "OpenAI, completion": Case(
        partial(OpenAI, form="completion"),
        FakeOpenAI,
        "OPENAI_API_KEY",
        f"Authorization: Bearer {KEY}",
        {**LIMITS, "prompt": ONE_TEXT, "stop": ["\n\n"]},
        Completion(f"thoughts on {ONE_TEXT.strip()}", 11, 7, "stop", 5),
    ),
    "Gemini": Case(
        Gemini,
        FakeGemini,
        "GEMINI_API_KEY",
        f"x-goog-api-key: {KEY}",
        {
            "systemInstruction": {"parts": texts("Reason.")},
            "contents": [
                {"role": "user", "parts": texts("1 + 1?")},
                {"role": "model", "parts": texts("one more")},
                {"role": "user", "parts": texts("why")},
            ],
            "generationConfig": {"temperature": 0.0, "maxOutputTokens": 512},
        },
        Completion("thoughts on why", 11, 7, "stop", 5, "fake-1"),
    ),
    "Anthropic": Case(
        Anthropic,
        FakeAnthropic,
        "ANTHROPIC_API_KEY",
        f"x-api-key: {KEY}",
        {
            **LIMITS,
            "system": block("Reason."),
            "messages": [
                {"role": "user", "content": block("1 + 1?")},
                {"role": "assistant", "content": block("one more", **KEPT)},
                {"role": "user", "content": block("why")},
            ],
        },
        Completion("thoughts on why", 11, 7, "stop", 5, "fake-1"),
    ),
}
FAULTS = {
    "dropped": DROPPED,
    "reset in the middle": RESET,
    "429": RATE_LIMIT,
    "500": BROKEN,
    "529": Reply(529, '{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'),
    "an error with status 200": ERROR_BODY,
    "half a body": MALFORMED,
    "a page": PAGE,
    "nothing": Reply(200, good=False),
    "a deep hole": Reply(200, "[" * 100_000, good=False),
    "another form": Reply(200, '{"choices": [], "candidates": [{"content": 3}], "content": 3}', good=False),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    for other in CASES.values():
        monkeypatch.delenv(other.variable, raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv(request.param.variable, KEY)
    return request.param


def once(case: Case, reply: Reply) -> FakeOpenAI:
    return case.server(lambda text, attempt: reply if attempt == 0 else None)


def test_a_chat_goes_out_and_a_completion_comes_back(case: Case) -> None:
    with case.server() as server:
        answer = case.make("fake", base_url=server.url).complete(REQUEST)
    assert answer == case.answer
    assert server.bodies == [case.sent]
    name, value = case.header.split(": ")
    assert {each.lower(): sent for each, sent in server.headers[0].items()}[name.lower()] == value


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_may_pass_is_asked_again_once(case: Case, fault: Reply) -> None:
    pauses: list[float] = []
    with once(case, fault) as server:
        answer = case.make("fake", base_url=server.url).complete(REQUEST, pauses.append)
    assert answer == case.answer
    assert server.asked.total() == 2 and server.answered.total() == 1
    (pause,) = pauses
    assert (1.0 if fault == RATE_LIMIT else 0.0) <= pause <= 1.5


def test_the_texts_that_end_a_rationale_go_along(case: Case) -> None:
    with case.server() as server:
        case.make("fake", base_url=server.url).complete(Request("e", CHAT, ("###",)))
    (body,) = server.bodies
    stops = body.get("stop") or body.get("stop_sequences") or body["generationConfig"]["stopSequences"]
    assert stops == ["###"]


def test_a_silent_server_is_asked_again(case: Case) -> None:
    with case.server() as server:
        server.hold_after(0)
        client = case.make("fake", base_url=server.url, timeout_s=0.3)
        assert client.complete(REQUEST, lambda seconds: server.release(answer=True)) == case.answer


def test_a_server_that_is_not_there_fails_the_call_and_not_the_run(case: Case) -> None:
    with case.server() as server:
        url = server.url
    with pytest.raises(CallError, match=r"gave up after 3 attempts, the last: 127\.0\.0\.1: "):
        case.make("fake", base_url=url, max_retries=2).complete(REQUEST, lambda seconds: None)


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (400, CallError, "too long"),
        (413, CallError, "too long"),
        (402, ConfigError, "no credit left"),
        (401, ConfigError, "check {variable}"),
        (403, ConfigError, "check {variable}"),
        (404, ConfigError, "check base_url and model"),
    ],
)
def test_what_cannot_pass_is_asked_once_and_says_what_to_do(
    case: Case, status: int, error: type[Exception], says: str
) -> None:
    reply = Reply(status, '{"error": {"message": "too long"}}')
    with once(case, reply) as server, pytest.raises(error, match=says.format(variable=case.variable)):
        case.make("fake", base_url=server.url).complete(REQUEST)
    assert server.asked.total() == 1


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 429, 500])
def test_a_key_that_the_server_repeats_is_in_no_error_log_payload_or_repr(
    case: Case, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = Reply(status, json.dumps({"error": {"code": KEY, "message": KEY}}), {"Content-Type": KEY})
    with case.server(lambda text, attempt: echo) as server:
        client = case.make("fake", base_url=server.url, max_retries=1)
        with pytest.raises((CallError, ConfigError)) as caught:
            client.complete(REQUEST, lambda seconds: None)
    assert "***" in str(caught.value)
    shown = (str(caught.value), caplog.text, repr(client), canonical(client.payload(REQUEST)))
    assert not any(KEY in text for text in shown)
    assert not any(KEY in canonical(body) for body in server.bodies)


def test_the_providers_own_server_is_not_called_without_a_key(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(case.variable, " ")
    with pytest.raises(ConfigError, match=f"expected a key in {case.variable}, found none"):
        case.make("fake").complete(REQUEST)


def test_another_server_needs_no_key(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(case.variable)
    with case.server() as server:
        assert case.make("fake", base_url=server.url).complete(REQUEST) == case.answer


@pytest.mark.parametrize("url", ["host/v1", "http://me:secret@host/v1"])
def test_an_address_that_cannot_be_is_refused_unseen(case: Case, url: str) -> None:
    with pytest.raises(ConfigError, match=f"expected an address like .*{case.variable}") as caught:
        case.make("fake", base_url=url).complete(REQUEST)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"extra": {"model": "x"}}, {"timeout_s": 0}, {"max_retries": -1}])
def test_settings_that_cannot_work_are_refused(case: Case, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        case.make("fake", **settings)


# OpenAI's.


def test_the_payload_of_a_chat_is_what_stores_have_its_answers_under() -> None:
    assert canonical(OpenAI("fake").payload(REQUEST)) == (
        '{"max_tokens":512,"messages":[{"content":"Reason.","role":"system"},'
        '{"content":"1 + 1?","role":"user"},{"content":"one more","role":"assistant"},'
        '{"content":"why","role":"user"}],"model":"fake","temperature":0.0}'
    )


def test_a_prompt_that_is_one_text_is_continued_as_it_is() -> None:
    body = OpenAI("fake", form="completion").payload(Request("e", CHAT[-1:], ("###",)))
    assert (body["prompt"], body["stop"]) == ("why", ["###"])


def test_a_continued_text_that_was_cut_says_so() -> None:
    reply = Reply(200, text_completion(" so", finish_reason="length"))
    with once(CASES["OpenAI, completion"], reply) as server:
        answer = OpenAI("fake", base_url=server.url, form="completion").complete(REQUEST)
    assert (answer.text, answer.finish_reason) == ("so", "length")


# Gemini's.


def ask_gemini(reply: Reply, **settings: Any) -> tuple[Completion, FakeOpenAI]:
    with once(CASES["Gemini"], reply) as server:
        pauses: list[float] = []
        answer = Gemini("fake", base_url=server.url, **settings).complete(REQUEST, pauses.append)
    server.times = pauses
    return answer, server


def test_what_gemini_cuts_says_so_even_if_thoughts_took_all_of_it() -> None:
    answer, _ = ask_gemini(Reply(200, generated("so", finishReason="MAX_TOKENS")))
    assert (answer.text, answer.finish_reason) == ("so", "length")
    answer, _ = ask_gemini(Reply(200, generated("", finishReason="MAX_TOKENS", content={"role": "model"})))
    assert (answer.text, answer.finish_reason) == ("", "length")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"promptFeedback": {"blockReason": "SAFETY"}}', r"the prompt is blocked \(SAFETY\)"),
        (generated("", finishReason="RECITATION", content={}), r"the answer is blocked \(RECITATION\)"),
    ],
)
def test_what_gemini_blocks_is_an_error_of_that_call_with_its_reason(body: str, says: str) -> None:
    with pytest.raises(CallError, match=says):
        ask_gemini(Reply(200, body))


def test_a_key_that_gemini_does_not_know_ends_the_run_though_its_status_is_400() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    error = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": details}
    with pytest.raises(ConfigError, match="check GEMINI_API_KEY"):
        ask_gemini(Reply(400, json.dumps({"error": error})))


def test_gemini_is_left_alone_as_long_as_its_error_asks() -> None:
    details = [{"@type": "x", "links": []}, {"@type": "google.rpc.RetryInfo", "retryDelay": "58.5s"}]
    error = {"code": 429, "message": "quota", "details": details}
    _, server = ask_gemini(Reply(429, json.dumps({"error": error})))
    assert 58.5 <= server.times[0] <= 59.5


def test_further_settings_of_gemini_join_ours() -> None:
    extra = {"safetySettings": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}
    body = Gemini("fake", seed=3, max_tokens=None, extra=extra).payload(Request("e", CHAT[-1:]))
    assert body == {
        "model": "fake",
        "safetySettings": [],
        "contents": [{"role": "user", "parts": texts("why")}],
        "generationConfig": {"temperature": 0.0, "seed": 3, "thinkingConfig": {"thinkingBudget": 0}},
    }


# Anthropic's.


def sent_to_anthropic(*messages: dict[str, str], **settings: Any) -> dict[str, Any]:
    with FakeAnthropic() as server:
        Anthropic("fake", base_url=server.url, **settings).complete(Request("e", messages))
    assert server.headers[0]["anthropic-version"] == "2023-06-01"
    return server.bodies[0]


def test_what_all_requests_share_is_marked_for_the_cache_and_the_examples_own_is_not() -> None:
    body = sent_to_anthropic(CHAT[0], CHAT[-1])
    assert body["system"] == block("Reason.", **KEPT)
    assert body["messages"] == [{"role": "user", "content": block("why")}]
    assert "cache_control" not in canonical(sent_to_anthropic(CHAT[-1]))
    assert "cache_control" not in canonical(sent_to_anthropic(*CHAT, cache=False))


def test_the_cache_changes_no_key_of_the_store() -> None:
    assert Anthropic("fake").payload(REQUEST) == Anthropic("fake", cache=False).payload(REQUEST)


def test_what_anthropic_cuts_or_refuses_says_so() -> None:
    with once(CASES["Anthropic"], Reply(200, message("so", stop_reason="max_tokens"))) as server:
        answer = Anthropic("fake", base_url=server.url).complete(REQUEST)
    assert (answer.text, answer.finish_reason) == ("so", "length")
    reply = Reply(200, message("I cannot", stop_reason="refusal"))
    with once(CASES["Anthropic"], reply) as server, pytest.raises(CallError, match="refused to answer"):
        Anthropic("fake", base_url=server.url).complete(REQUEST)


def test_an_account_of_anthropics_without_credit_ends_the_run() -> None:
    error = {"type": "invalid_request_error", "message": "Your credit balance is too low to access"}
    reply = Reply(400, json.dumps({"type": "error", "error": error}))
    with once(CASES["Anthropic"], reply) as server, pytest.raises(ConfigError, match="no credit left"):
        Anthropic("fake", base_url=server.url).complete(REQUEST)


def test_anthropic_needs_a_number_of_tokens() -> None:
    with pytest.raises(ConfigError, match=r"Anthropic\.max_tokens: expected 1 or more, found 0"):
        Anthropic("fake", max_tokens=0)
