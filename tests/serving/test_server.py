"""What the server promises over HTTP, with a predictor that has no model."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fake_predictor import ADAPTERS, expected, serving, until

from fiat_jax.errors import ConfigError, FiatError
from fiat_jax.serving.limits import Limits
from fiat_jax.serving.server import Server
from fiat_jax.serving.service import Loaded

HEAD = "\r\n".join(
    ("POST /answer HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 999999", "", "")
)


@pytest.fixture(scope="module")
def plain():
    """A server that nothing is wrong with."""
    with serving(Limits(body_bytes=10_000, rows=8, waiting=8)) as running:
        yield running


def test_answers_come_in_the_order_of_the_rows(plain):
    reply = plain.ask([{"text": f"row {n}"} for n in range(8)], seed=3)
    assert reply.status_code == 200
    assert reply.json() == [expected(f"row {n}", seed=3) for n in range(8)]


def test_one_row_is_answered_as_a_list_of_one(plain):
    assert plain.ask({"text": "alone"}).json() == [expected("alone")]


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_is_chosen_by_its_name(plain, name):
    assert plain.ask({"text": "x"}, adapter=name).json() == [expected("x", ADAPTERS[name])]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"inputs": {"txt": "x"}}, "inputs[0]: expected a field 'text', found none."),
        ({"inputs": [{"text": "x"}, {"text": 3}]}, "inputs[1]: expected a field 'text', found none."),
        ({"inputs": []}, "inputs: expected at least one row, found none."),
        ({"inputs": "x"}, "or a list of rows, found a string."),
        ({"inputs": [{"text": "x"}, "x"]}, "or a list of rows, found a string at 1."),
        ({}, "or a list of rows, found none."),
        ([], "body: expected a JSON object with 'inputs'"),
        ({"inputs": {"text": "x"}, "adapter": "secnd"}, "found 'secnd'; did you mean 'second'?"),
        ({"inputs": {"text": "x"}, "adapter": 1}, "adapter: expected a valid string, found 1."),
        ({"inputs": {"text": "x"}, "seed": "1"}, "seed: expected a valid integer, found a string."),
        ({"inputs": {"text": "x"}, "seed": -1}, "seed: expected greater than or equal to 0, found -1."),
        ({"inputs": {"text": "x"}, "sed": 1}, "sed: expected no such field; did you mean 'seed'?"),
        ({"inputs": {"text": "x" * 101}}, "expected at most 100 tokens, found 101."),
        ({"inputs": {"text": "\ud800"}}, "found half of a surrogate pair."),
        ({"inputs": {"text": "x", "n": float("nan")}}, "expected rows of text and numbers"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_in_one_sentence_with_422(plain, body, sentence):
    reply = plain.client.post(
        "/answer", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert reply.status_code == 422
    assert list(reply.json()) == ["error"]
    assert sentence in reply.json()["error"] and "\n" not in reply.json()["error"]


@pytest.mark.parametrize(
    ("body", "kind", "sentence"),
    [
        (b'{"inputs"', "application/json", "expected JSON, found a mistake at character 9"),
        (b'{"inputs": {"text": "x"}}', "text/plain", "sent with Content-Type: application/json"),
        (b"", "application/json", "body: expected a JSON object"),
    ],
)
def test_a_body_that_is_not_json_is_refused(plain, body, kind, sentence):
    reply = plain.client.post("/answer", content=body, headers={"Content-Type": kind})
    assert (reply.status_code, sentence in reply.json()["error"]) == (422, True)


@pytest.mark.parametrize("body", [b"\xff\xfe{", b"[" * 9000])
def test_a_body_that_cannot_be_read_is_no_failure_of_the_server(plain, body):
    reply = plain.client.post("/answer", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422) and reply.json()["error"]


def test_too_many_rows_are_413(plain):
    reply = plain.ask([{"text": "x"}] * 9)
    assert (reply.status_code, reply.json()["error"]) == (
        413,
        "inputs: expected at most 8 rows, found 9; send them in several requests.",
    )


def _connection(running):
    return socket.create_connection(running.server.address.removeprefix("http://").split(":"), timeout=10)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(plain):
    with _connection(plain) as connection:
        connection.sendall(HEAD.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_say_how_large_it_is_is_refused_when_it_has_grown_too_large(plain):
    def chunks():
        for _ in range(11):
            yield b" " * 1000

    headers = {"Content-Type": "application/json"}
    assert plain.client.post("/answer", content=chunks(), headers=headers).status_code == 413


def test_other_paths_and_methods_are_refused_in_the_same_shape(plain):
    for reply, status in ((plain.client.get("/nothing"), 404), (plain.client.get("/answer"), 405)):
        assert (reply.status_code, list(reply.json())) == (status, ["error"])


def test_a_reasoner_that_fails_is_502_for_the_whole_request_and_for_no_other(plain):
    reply = plain.ask([{"text": "fine"}, {"text": "unreasonable"}])
    assert reply.status_code == 502
    assert reply.json()["error"] == "the reasoner gave no rationale: gave up after 3 attempts"
    assert plain.ask({"text": "fine"}).status_code == 200


def test_the_root_says_what_is_served_and_the_schema_has_examples_that_are_answered(plain):
    assert plain.client.get("/").json()["adapters"] == ["first", "second"]
    schema = plain.client.get("/openapi.json").json()
    answer = schema["paths"]["/answer"]["post"]
    assert set(answer["responses"]) == {"200", "413", "422", "500", "502", "503", "504"}
    examples = answer["requestBody"]["content"]["application/json"]["examples"]
    for example in examples.values():
        assert plain.client.post("/answer", json=example["value"]).status_code == 200
    assert plain.client.get("/docs").status_code == 200


def test_metrics_count_requests_rows_and_tokens():
    with serving() as running:
        running.ask([{"text": "ab"}, {"text": "cd"}])
        running.ask({"text": 1})
        assert running.metric('fiat_requests_total{status="200"}') == 1
        assert running.metric('fiat_requests_total{status="422"}') == 1
        assert running.metric("fiat_rows_total") == 2
        assert running.metric("fiat_tokens_total") == 2 * len("ba 0 0")
        assert running.metric('fiat_request_seconds_bucket{le="+Inf"}') == 2
        assert running.metric("fiat_ready") == 1
        assert running.metric("fiat_accepted_rows") == running.metric("fiat_decoding_rows") == 0


def test_rows_of_several_callers_are_decoded_together():
    with serving() as running, ThreadPoolExecutor() as callers:
        running.predictor.go.clear()
        first = callers.submit(running.ask, {"text": "first"})
        running.wait_for("fiat_decoding_rows", 1)
        others = [callers.submit(running.ask, {"text": f"caller {n}"}) for n in range(3)]
        running.wait_for("fiat_waiting_rows", 3)
        running.predictor.go.set()
        assert [reply.result().status_code for reply in (first, *others)] == [200] * 4
        assert [len(batch) for batch in running.predictor.batches] == [1, 3]


def test_a_full_server_is_503_and_says_when_to_try_again():
    with serving(Limits(rows=2, waiting=2)) as running, ThreadPoolExecutor() as callers:
        running.predictor.go.clear()
        accepted = callers.submit(running.ask, {"text": "accepted"})
        running.wait_for("fiat_decoding_rows", 1)
        refused = running.ask([{"text": "a"}, {"text": "b"}])
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert "1 of at most 2 are waiting" in refused.json()["error"]
        running.predictor.go.set()
        assert accepted.result().status_code == 200
        assert running.ask([{"text": "a"}, {"text": "b"}]).status_code == 200


def test_a_request_that_takes_too_long_is_504_and_is_not_decoded_if_it_has_not_begun():
    with serving(Limits(timeout_s=0.3)) as running, ThreadPoolExecutor() as callers:
        running.predictor.go.clear()
        begun = callers.submit(running.ask, {"text": "begun"})
        running.wait_for("fiat_decoding_rows", 1)
        waiting = running.ask({"text": "waiting"})
        assert (begun.result().status_code, waiting.status_code) == (504, 504)
        assert waiting.json()["error"] == "expected an answer within 0.3 s, found none."
        running.predictor.go.set()
        assert running.ask({"text": "later"}).json() == [expected("later")]
        assert running.predictor.batches == [["begun"], ["later"]]


def test_a_caller_that_hangs_up_is_not_decoded_and_frees_its_room():
    with serving(Limits(rows=2, waiting=2)) as running, ThreadPoolExecutor() as callers:
        running.predictor.go.clear()
        first = callers.submit(running.ask, {"text": "first"})
        running.wait_for("fiat_decoding_rows", 1)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{running.server.address}/answer", json={"inputs": {"text": "gone"}}, timeout=0.3)
        running.wait_for("fiat_accepted_rows", 1)
        running.predictor.go.set()
        assert first.result().status_code == running.ask({"text": "next"}).status_code == 200
        assert running.predictor.batches == [["first"], ["next"]]
        assert running.metric('fiat_requests_total{status="499"}') == 1


def test_a_reasoner_that_hangs_holds_up_neither_health_nor_those_that_need_no_turn():
    with serving(Limits(timeout_s=0.3, calls=1)) as running, ThreadPoolExecutor() as callers:
        running.predictor.reason.clear()
        stuck = callers.submit(running.ask, {"text": "stuck"})
        until(lambda: running.predictor.asked)
        assert running.client.get("/health").status_code == 200
        assert running.ask({"text": "behind"}).status_code == 504
        assert stuck.result().status_code == 504
        running.predictor.reason.set()
        assert running.ask({"text": "next"}).status_code == 200
        assert running.predictor.asked == ["stuck", "next"]


def test_a_server_that_stops_answers_what_it_accepted_and_refuses_the_rest():
    with serving() as running, ThreadPoolExecutor() as callers:
        running.predictor.go.clear()
        accepted = [callers.submit(running.ask, {"text": f"row {n}"}) for n in range(6)]
        running.wait_for("fiat_accepted_rows", 6)
        running.server.stop()
        until(lambda: running.client.get("/health").status_code == 503)
        assert "stopping" in running.client.get("/health").json()["error"]
        assert running.ask({"text": "late"}).status_code == 503
        running.predictor.go.set()
        assert [reply.result().json() for reply in accepted] == [[expected(f"row {n}")] for n in range(6)]
        running.thread.join(20)
        assert running.failure is None and running.predictor.closed
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{running.server.address}/health")


def test_what_cannot_be_answered_while_stopping_is_503_and_a_failure():
    with serving(Limits(drain_s=0.3)) as running, ThreadPoolExecutor() as callers:
        running.predictor.reason.clear()
        accepted = callers.submit(running.ask, {"text": "stuck"})
        running.wait_for("fiat_accepted_rows", 1)
        running.server.stop()
        assert accepted.result().status_code == 503
        assert "stopped before this was answered" in accepted.result().json()["error"]
        running.thread.join(20)
        assert isinstance(running.failure, FiatError) and "gave up 1" in str(running.failure)


def test_when_decoding_dies_all_that_wait_get_500_and_the_server_ends_with_the_failure():
    with serving() as running, ThreadPoolExecutor() as callers:
        running.predictor.go.clear()
        waiting = [callers.submit(running.ask, {"text": f"row {n}"}) for n in range(6)]
        running.wait_for("fiat_accepted_rows", 6)
        running.predictor.broken = True
        running.predictor.go.set()
        assert [reply.result().status_code for reply in waiting] == [500] * 6
        running.thread.join(20)
        assert str(running.failure) == "the device is lost"


def test_a_server_is_not_ready_while_it_loads_and_ends_with_what_loading_died_of():
    begun, fail = threading.Event(), threading.Event()

    def load() -> Loaded:
        begun.set()
        fail.wait()
        raise ConfigError("no checkpoint")

    with serving(load=load) as running:
        begun.wait()
        assert running.client.get("/health").status_code == running.ask({"text": "x"}).status_code == 503
        assert "being loaded" in running.client.get("/health").json()["error"]
        fail.set()
        running.thread.join(20)
        assert isinstance(running.failure, ConfigError)


def test_an_address_that_is_taken_is_a_configuration_error(plain):
    port = int(plain.server.address.rsplit(":", 1)[1])
    with pytest.raises(ConfigError, match=f"found 127.0.0.1 and {port} "):
        Server(plain.server._load, plain.server._about, Limits(), "127.0.0.1", port)


@pytest.mark.parametrize(("field", "value"), [("rows", 0), ("timeout_s", -1.0), ("rows", 2000)])
def test_limits_that_cannot_be_are_refused(field, value):
    with pytest.raises(ConfigError, match=f"Limits.{field}: expected"):
        Limits(**{field: value})


def test_unsure_rows_are_answered_again_with_a_rationale_and_the_others_once_without():
    with serving() as running:
        predictor = running.predictor
        predictor.ask, predictor.rationale = predictor.rationale, lambda row: None
        predictor.unsure = lambda written: bytes(written.tokens[0]).startswith(b"derusnu")
        reply = running.ask([{"text": text} for text in ("sure", "unsured", "quite sure")])
        rationales = [row["rationale"] for row in reply.json()]
        assert rationales == ["", "thoughts on unsured", ""]
        assert predictor.asked == ["unsured"]
        assert sorted(text for batch in predictor.batches for text in batch) == [
            "quite sure", "sure", "unsured", "unsured",
        ]  # fmt: skip
