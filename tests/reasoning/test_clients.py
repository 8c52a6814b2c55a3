"""The HTTP client against a real server on loopback, and the replay of a file."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from fake_openai import BROKEN, DROPPED, MALFORMED, FakeOpenAI, Reply, completion

from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning import CallError, Completion, GaveUp, OpenAI, Replay, Request
from fiat_jax.reasoning.calls import Pause, digest
from fiat_jax.reasoning.retry import retry_after

REQUEST = Request("e-1", ({"role": "user", "content": "why"},))
KEY = "sk-never-to-be-seen-again"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def ask(server: FakeOpenAI, **settings: Any) -> tuple[Completion, list[float]]:
    """A completion, and the pauses that it took."""
    pauses: list[float] = []
    client = OpenAI("fake", base_url=server.url, **settings)
    return client.complete(REQUEST, pauses.append), pauses


def once(reply: Reply) -> FakeOpenAI:
    return FakeOpenAI(lambda text, attempt: reply if attempt == 0 else None)


def test_a_completion_carries_text_tokens_and_why_it_ended() -> None:
    with once(Reply(200, completion(" so \n", finish_reason="length"))) as server:
        answer, pauses = ask(server)
    assert answer == Completion("so", 11, 7, "length", model="fake-1", fingerprint="fp")
    assert pauses == []


def test_a_completion_says_what_was_cached_and_which_revision_has_answered() -> None:
    body = json.loads(completion("so")) | {"model": "fake-2026-01", "system_fingerprint": "fp_1"}
    body["usage"]["prompt_tokens_details"] = {"cached_tokens": 5}
    with once(Reply(200, json.dumps(body))) as server:
        answer, _ = ask(server)
    assert answer == Completion("so", 11, 7, "stop", 5, "fake-2026-01", "fp_1")


def test_a_pause_tells_whether_the_server_was_busy() -> None:
    for status, busy in ((429, True), (500, False)):
        with once(Reply(status)) as server:
            _, [pause] = ask(server)
        assert isinstance(pause, Pause) and pause.busy == busy


def test_attempts_that_are_used_up_may_be_made_another_time_and_a_refusal_may_not() -> None:
    with FakeOpenAI(lambda text, attempt: BROKEN) as server, pytest.raises(GaveUp):
        ask(server, max_retries=1)
    with FakeOpenAI(lambda text, attempt: Reply(400)) as server, pytest.raises(CallError) as caught:
        ask(server)
    assert not isinstance(caught.value, GaveUp)


def test_the_body_is_the_payload_and_the_key_a_bearer_header() -> None:
    extra = {"max_tokens": None, "max_completion_tokens": 9}
    with FakeOpenAI() as server:
        ask(server, seed=3, extra=extra)
    assert server.bodies == [
        {"model": "fake", "messages": list(REQUEST.messages), "temperature": 0.0, "seed": 3}
        | {"max_completion_tokens": 9}
    ]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_the_address_may_come_from_the_environment_and_a_local_server_needs_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with FakeOpenAI() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
        assert OpenAI("fake").complete(REQUEST).text == "thoughts on why"
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    "reply",
    [
        *(Reply(status) for status in (408, 409, 429, 500, 502, 503, 529)),
        DROPPED,
        MALFORMED,
        *(Reply(200, body) for body in ("", "[]", "null", '{"choices": []}', '{"error": {"message": "no"}}')),
        Reply(200, '{"choices": [{"message": {"content": ["a part"]}}]}'),
        Reply(200, '{"choices": [{"message": {"content": "cut"}}]}', {"Content-Length": "999"}),
    ],
)
def test_what_may_pass_is_tried_again_after_a_pause(reply: Reply) -> None:
    with once(reply) as server:
        answer, pauses = ask(server)
    assert answer.text == "thoughts on why"
    assert len(pauses) == 1 and 0.25 <= pauses[0] <= 0.5


def test_a_silent_server_is_given_up_on_after_the_time_out_and_asked_again() -> None:
    with FakeOpenAI() as server:
        server.hold_after(0)
        client = OpenAI("fake", base_url=server.url, timeout_s=0.5)
        answer = client.complete(REQUEST, lambda seconds: server.release(answer=True))
    assert answer.text == "thoughts on why"
    assert server.asked.total() >= 2


def test_a_refused_connection_is_tried_to_the_end_with_growing_pauses() -> None:
    with FakeOpenAI() as server:
        url = server.url
    pauses: list[float] = []
    with pytest.raises(CallError, match=r"gave up after 10 attempts, the last: 127\.0\.0\.1: "):
        OpenAI("fake", base_url=url, max_retries=9).complete(REQUEST, pauses.append)
    assert all(
        0.5 * most <= pause <= most
        for pause, most in zip(pauses, [0.5, 1, 2, 4, 8, 16, 32, 60, 60], strict=True)
    )


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (400, CallError, "context too long"),
        (413, CallError, "answered 413"),
        (422, CallError, "answered 422"),
        (401, ConfigError, "check OPENAI_API_KEY"),
        (403, ConfigError, "check OPENAI_API_KEY"),
        (404, ConfigError, "check base_url and model"),
        (307, ConfigError, "check base_url and model"),
    ],
)
def test_what_cannot_pass_fails_at_once_with_the_servers_reason(
    status: int, error: type[Exception], says: str
) -> None:
    with FakeOpenAI() as elsewhere:
        reply = Reply(status, '{"error": {"message": "context too long"}}', {"Location": elsewhere.url})
        with once(reply) as server, pytest.raises(error, match=says):
            ask(server)
    assert server.asked.total() == 1
    assert elsewhere.asked.total() == 0  # no key follows a redirect


def test_an_account_without_credit_is_not_asked_again() -> None:
    reply = Reply(429, '{"error": {"code": "insufficient_quota", "message": "pay"}}')
    with once(reply) as server, pytest.raises(ConfigError, match="no credit left"):
        ask(server)


def test_retry_after_is_never_undercut() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    replies = [Reply(429, "", {"Retry-After": "7"}), Reply(503, "", {"retry-after": date})]
    with FakeOpenAI(lambda text, attempt: replies[attempt] if attempt < 2 else None) as server:
        _, pauses = ask(server)
    assert 7 <= pauses[0] <= 8
    assert 15 <= pauses[1] <= 21


def test_retry_after_holds_on_the_clock_too() -> None:
    with once(Reply(429, "", {"Retry-After": "1"})) as server:
        OpenAI("fake", base_url=server.url).complete(REQUEST)
    assert server.times[1] - server.times[0] >= 1.0


def test_a_server_that_asks_to_wait_for_hours_ends_the_call() -> None:
    with once(Reply(429, "", {"Retry-After": "7200"})) as server, pytest.raises(CallError, match="7200 s"):
        ask(server)


def test_retry_after_reads_seconds_and_dates_and_nothing_else() -> None:
    now = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
    assert retry_after("2.5", now) == 2.5
    assert retry_after("Tue, 01 Jan 2030 12:00:30 GMT", now) == 30
    assert retry_after("Tue, 01 Jan 2030 12:00:30 -0000", now) == 30
    assert retry_after("Tue, 01 Jan 2030 11:00:00 GMT", now) == 0
    assert retry_after("-3", now) == 0
    assert retry_after("soon", now) is None
    assert retry_after(None, now) is None


def test_openais_own_server_is_not_called_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(ConfigError, match="expected a key in OPENAI_API_KEY"):
        OpenAI("fake").complete(REQUEST)


@pytest.mark.parametrize("status", [400, 401, 500])
def test_an_error_never_shows_the_key_even_if_the_server_does(status: int) -> None:
    with FakeOpenAI(lambda text, attempt: Reply(status, f"Bearer {KEY} is wrong")) as server:
        with pytest.raises((CallError, ConfigError)) as caught:
            ask(server, max_retries=1)
        assert KEY not in repr(OpenAI("fake", base_url=server.url))
    assert "***" in str(caught.value) and KEY not in str(caught.value)


def test_a_key_that_no_header_can_hold_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sécret")
    with pytest.raises(ConfigError, match="printable ASCII") as caught:
        OpenAI("fake").complete(REQUEST)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://host/v1", "http://me:secret@host/v1", "http://"])
def test_an_address_that_is_none_or_holds_a_password_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigError, match="expected an address like") as caught:
        OpenAI("fake", base_url=url).complete(REQUEST)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"extra": {"stream": True}}, {"timeout_s": 0}, {"max_retries": -1}])
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        OpenAI("fake", **settings)


def test_half_an_emoji_does_not_break_what_reads_the_text() -> None:
    with once(Reply(200, completion("so \ud83d"))) as server:
        assert ask(server)[0].text == "so ?"


def write_rows(path: Path, *rows: dict[str, object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_replay_answers_by_id(tmp_path: Path) -> None:
    client = Replay(write_rows(tmp_path / "r.jsonl", {"id": "e-1", "rationale": "since"}))
    assert client.complete(Request("e-1")) == Completion("since")
    with pytest.raises(CallError, match=r"r\.jsonl has no rationale"):
        client.complete(Request("e-2"))


def test_replay_counts_an_edited_rationale_as_a_new_answer_and_an_edited_prompt_as_the_same(
    tmp_path: Path,
) -> None:
    first = Replay(write_rows(tmp_path / "1.jsonl", {"id": "e-1", "rationale": "since"}))
    second = Replay(write_rows(tmp_path / "2.jsonl", {"id": "e-1", "rationale": "for"}))
    assert digest(first.payload(Request("e-1"))) == digest(first.payload(REQUEST))
    assert digest(first.payload(REQUEST)) != digest(second.payload(REQUEST))


def test_replay_of_a_broken_file_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"id": "a", "rationale": "x"}\n{"id": "b", "rationale": "\xff"}\n')
    with pytest.raises(DataError, match=r"r\.jsonl:2: "):
        Replay(str(path)).complete(REQUEST)


def test_broken_is_an_error_with_a_reason() -> None:
    with FakeOpenAI(lambda text, attempt: BROKEN) as server, pytest.raises(CallError, match="out of order"):
        ask(server, max_retries=0)
