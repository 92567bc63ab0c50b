"""F38–F42, F64: what a server may answer to a continuation."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.transfer.conftest import QUICK, leftovers, visible
from tests.transfer.faulty_server import cut, first, serve, status
from zoo.errors import DigestMismatchError, FetchError
from zoo.fetchers import fetch


def test_f38_a_server_that_ignores_the_range_is_read_from_the_start(start, get, payload):
    server = start(first(cut(payload.data, 200_000), then=serve(payload.data, ranges=False)))
    assert get(server).digest == payload.sha256
    assert server.header("range") == [None, "bytes=200000-"]


def test_f39_a_range_at_another_offset_is_refused_and_the_file_begun_anew(start, get, payload):
    def shifted(exchange):
        exchange.respond(
            206, payload.data[100_000:], "Content-Range: bytes 100000-299999/300000", 'ETag: "v1"'
        )

    server = start(first(cut(payload.data, 200_000), shifted, then=serve(payload.data)))
    assert get(server).digest == payload.sha256
    assert server.header("range") == [None, "bytes=200000-", None]


def test_f40_a_file_that_changed_between_tries_is_never_spliced(start, get, payload, store):
    changed = payload.data[::-1]
    server = start(first(cut(payload.data, 200_000), then=serve(changed, etag='"v2"')))
    with pytest.raises(DigestMismatchError):
        get(server)
    assert server.header("if-range")[1] == '"v1"'
    assert visible(store) == []


def test_f40_a_206_with_another_etag_is_begun_anew(start, get, payload):
    def careless(exchange):  # ignores If-Range
        exchange.headers.pop("if-range", None)
        serve(payload.data, etag='"v2"')(exchange)

    server = start(first(cut(payload.data, 200_000), then=careless))
    assert get(server).digest == payload.sha256
    assert server.header("range") == [None, "bytes=200000-", None]


def test_f41_a_416_drops_the_partial_file(start, get, payload):
    server = start(first(cut(payload.data, 200_000), status(416), then=serve(payload.data)))
    assert get(server).digest == payload.sha256
    assert server.header("range") == [None, "bytes=200000-", None]


def test_f42_a_partial_file_longer_than_the_file_is_discarded(start, get, payload, store):
    dropping = start(cut(payload.data, 100_000))
    with pytest.raises(FetchError):
        get(dropping)
    partial = next(path for path in leftovers(store) if path.suffix == ".part")
    partial.write_bytes(b"x" * 400_000)
    server = start(serve(payload.data))
    assert get(server).digest == payload.sha256
    assert server.header("range") == [None]


def test_f64_a_weak_etag_is_never_a_condition(start, get, payload):
    weak = serve(payload.data, "Last-Modified: Tue, 01 Jan 2030 00:00:00 GMT", etag='W/"v1"')
    server = start(first(cut(payload.data, 200_000, etag='W/"v1"'), then=weak))
    assert get(server).digest == payload.sha256
    assert server.header("if-range") == [None, None]


def test_another_call_resumes_what_a_failed_one_left(start, get, payload):
    with pytest.raises(FetchError):
        get(start(cut(payload.data, 250_000)))
    server = start(serve(payload.data))
    assert get(server).digest == payload.sha256
    assert server.header("range") == ["bytes=250000-"]


def test_a_damaged_partial_file_costs_a_restart_and_no_wrong_file(start, get, payload, store):
    with pytest.raises(FetchError):
        get(start(cut(payload.data, 250_000)))
    partial = next(path for path in leftovers(store) if path.suffix == ".part")
    partial.write_bytes(b"\0" * 250_000)
    server = start(serve(payload.data))
    assert get(server).digest == payload.sha256
    assert server.header("range") == ["bytes=250000-", None]


def test_a_partial_file_of_another_digest_is_not_resumed(start, get, payload, store):
    with pytest.raises(FetchError):
        get(start(cut(payload.data, 250_000)))
    note = next(path for path in leftovers(store) if path.suffix == ".json")
    note.write_text(json.dumps({**json.loads(note.read_text()), "identity": "0" * 64}))
    server = start(serve(payload.data))
    assert get(server).digest == payload.sha256
    assert server.header("range") == [None]


def test_a_mirror_goes_on_where_another_one_ended(start, get, payload):
    dropping, good = start(cut(payload.data, 250_000)), start(serve(payload.data, etag='"other"'))
    assert get(dropping, good).digest == payload.sha256
    assert good.header("range") == ["bytes=250000-"]
    assert good.header("if-range") == [None]


def test_a_resume_says_how_much_it_saved(start, get, payload, capsys):
    with pytest.raises(FetchError):
        get(start(cut(payload.data, 250_000)))
    get(start(serve(payload.data)), options=replace(QUICK, progress=True))
    assert "resumed, 250,000 of 300,000 bytes were there already" in capsys.readouterr().err


def test_a_source_that_the_user_names_is_pinned_by_its_first_use(start, store, payload):
    server = start(first(serve(payload.data), then=serve(payload.data[::-1])))
    spec, named = payload.spec(sha256=None, size=None), replace(QUICK, extra_sources=(server.url(),))
    assert fetch(spec, store, named).digest == payload.sha256
    assert fetch(spec, store, named).digest == payload.sha256
    assert len(server.requests) == 1


def test_a_source_without_a_digest_is_pinned_by_its_first_use(start, store, payload):
    server = start(first(serve(payload.data), then=serve(payload.data[::-1])))
    spec = payload.spec(server.url(), sha256=None, size=None)
    assert fetch(spec, store, QUICK).digest == payload.sha256
    assert fetch(spec, store, QUICK).digest == payload.sha256
    assert len(server.requests) == 1
    store.find(payload.sha256).unlink()
    with pytest.raises(DigestMismatchError):
        fetch(spec, store, QUICK)
