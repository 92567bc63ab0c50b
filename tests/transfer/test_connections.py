"""F01–F24: connections that end, statuses, waits and speeds."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate

import pytest

from tests.transfer.conftest import QUICK, leftovers, visible
from tests.transfer.faulty_server import chunked, cut, first, serve, stall, status, trickle
from zoo.errors import FetchError


def test_f01_a_normal_answer_is_one_get(start, get, payload):
    server = start(serve(payload.data))
    assert get(server).path.read_bytes() == payload.data
    assert [exchange.method for exchange in server.requests] == ["GET"]


def test_f02_a_chunked_answer_is_complete_with_its_last_chunk(start, get, payload):
    assert get(start(chunked(payload.data))).digest == payload.sha256


def test_f03_a_body_that_ends_with_the_connection_is_judged_by_its_digest(start, get, payload):
    def script(exchange):
        exchange.head(200)
        exchange.send(payload.data)

    assert get(start(script)).digest == payload.sha256


def test_f04_a_close_before_the_headers_is_tried_again(start, get, payload):
    server = start(first(lambda exchange: None, then=serve(payload.data)))
    assert get(server).digest == payload.sha256
    assert len(server.requests) == 2


def test_f05_a_reset_inside_the_body_is_resumed(start, get, payload):
    server = start(first(cut(payload.data, 200_000, reset=True), then=serve(payload.data)))
    assert get(server).digest == payload.sha256
    assert server.header("range")[1] is not None


def test_f06_a_close_inside_the_body_is_resumed_under_if_range(start, get, payload):
    server = start(first(cut(payload.data, 200_000), then=serve(payload.data)))
    assert get(server).digest == payload.sha256
    assert server.header("range") == [None, "bytes=200000-"]
    assert server.header("if-range") == [None, '"v1"']


def test_f07_a_body_that_always_ends_early_fails_and_keeps_the_partial_file(start, get, payload, store):
    server = start(cut(payload.data, 100_000))
    with pytest.raises(FetchError, match=r"100000 bytes before|ended after|closed"):
        get(server)
    assert len(server.requests) == QUICK.retries + 1
    assert visible(store) == []
    assert max(path.stat().st_size for path in leftovers(store)) == 100_000


def test_f08_a_truncated_chunked_body_is_tried_again(start, get, payload):
    server = start(first(chunked(payload.data, whole=False), then=chunked(payload.data)))
    assert get(server).digest == payload.sha256


def test_f09_a_chunked_body_that_is_always_truncated_fails(start, get, payload, store):
    with pytest.raises(FetchError, match="closed"):
        get(start(chunked(payload.data, whole=False)))
    assert visible(store) == []


@pytest.mark.parametrize(
    ("code", "body"),
    [
        pytest.param(500, b"", id="f10_500"),
        pytest.param(502, b"<html><title>Bad gateway</title></html>", id="f11_502_html"),
        pytest.param(503, b"", id="f12_503"),
        pytest.param(504, b"", id="f14_504"),
        pytest.param(408, b"", id="f17_408"),
    ],
)
def test_f10_f11_f12_f14_f17_a_busy_server_is_tried_again(start, get, payload, code, body):
    server = start(first(status(code, body), then=serve(payload.data)))
    assert get(server).path.read_bytes() == payload.data
    assert len(server.requests) == 2


def test_f13_retry_after_on_503_is_waited_for(start, get, payload):
    server = start(first(status(503, b"", "Retry-After: 3"), then=serve(payload.data)))
    began = time.monotonic()
    get(server)
    assert time.monotonic() - began >= 3


def test_f15_retry_after_on_429_is_waited_for(start, get, payload):
    server = start(first(status(429, b"", "Retry-After: 1"), then=serve(payload.data)))
    began = time.monotonic()
    get(server)
    assert time.monotonic() - began >= 1


def test_f16_retry_after_may_be_a_date(start, get, payload):
    def busy(exchange):
        exchange.respond(503, b"", f"Retry-After: {formatdate(time.time() + 2.5, usegmt=True)}")

    began = time.monotonic()
    get(start(first(busy, then=serve(payload.data))))
    assert 1 <= time.monotonic() - began < 4  # dates have whole seconds


@pytest.mark.parametrize("value", ["999999", "Fri, 31 Dec 2099 23:59:59 GMT"])
def test_f16_an_absurd_retry_after_is_a_failure_at_once(start, get, payload, value):
    server = start(status(503, b"", f"Retry-After: {value}"))
    began = time.monotonic()
    with pytest.raises(FetchError, match="HTTP 503"):
        get(server)
    assert time.monotonic() - began < 2
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [404, 410])
def test_f18_a_missing_file_is_not_retried_and_the_next_mirror_is_asked(start, get, payload, code):
    missing, good = start(status(code)), start(serve(payload.data))
    assert get(missing, good).digest == payload.sha256
    assert len(missing.requests) == 1


@pytest.mark.parametrize("code", [401, 403])
def test_f19_a_denial_is_not_retried_and_hints_at_credentials(start, get, payload, code):
    denied, good = start(status(code)), start(serve(payload.data))
    assert get(denied, good).digest == payload.sha256
    assert len(denied.requests) == 1


def test_f19_a_denial_everywhere_names_the_credentials(start, get):
    with pytest.raises(FetchError, match="access denied") as caught:
        get(start(status(401)))
    assert "redentials" in (caught.value.hint or "")


def test_f20_a_stall_before_the_headers_is_tried_again(start, get, payload):
    server = start(first(stall(5), then=serve(payload.data)))
    began = time.monotonic()
    assert get(server).digest == payload.sha256
    assert time.monotonic() - began < 3


def test_f20_headers_that_trickle_do_not_hold_the_client(start, get, payload):
    def slow_headers(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\n")
        for _ in range(100):
            exchange.send(b"X: y\r\n")
            time.sleep(0.3)

    server = start(first(slow_headers, then=serve(payload.data)))
    began = time.monotonic()
    assert get(server).digest == payload.sha256
    assert time.monotonic() - began < 5


def test_f21_a_stall_inside_the_body_is_resumed(start, get, payload):
    server = start(first(stall(5, cut(payload.data, 200_000)), then=serve(payload.data)))
    assert get(server).digest == payload.sha256
    assert server.header("range")[1] == "bytes=200000-"


def test_f22_a_server_that_always_stalls_fails_within_the_deadline(start, get):
    began = time.monotonic()
    with pytest.raises(FetchError, match="time allowed is over"):
        get(start(stall(30)), options=replace(QUICK, deadline=1.0, retries=50))
    assert time.monotonic() - began < 2


def test_f22_a_deadline_ends_a_body_that_keeps_coming(start, get, payload):
    began = time.monotonic()
    with pytest.raises(FetchError, match="time allowed is over"):
        get(start(trickle(payload.data, 3000, 0.05)), options=replace(QUICK, deadline=1.0))
    assert time.monotonic() - began < 2


def test_f23_a_trickle_is_given_up_for_the_next_mirror(start, get, payload):
    slow, good = start(trickle(payload.data, 1, 0.4)), start(serve(payload.data))
    began = time.monotonic()
    assert get(slow, good).digest == payload.sha256
    assert time.monotonic() - began < 3
    assert len(slow.requests) == 1


def test_f24_a_slow_connection_that_is_alive_is_waited_for(start, get, payload):
    server = start(trickle(payload.data, 10_000, 0.05))
    assert get(server).digest == payload.sha256
    assert len(server.requests) == 1
