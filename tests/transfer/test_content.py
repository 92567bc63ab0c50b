"""F25–F37, F48–F52: bodies and headers that are not what was asked for."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from dataclasses import replace

import pytest

from tests.transfer.conftest import QUICK, leftovers, visible
from tests.transfer.faulty_server import endless, first, serve, status
from zoo.errors import DigestMismatchError, FetchError

LOGIN = b"<!DOCTYPE html><html><head><title>Welcome to Hotel WiFi</title></head><form><input type='password'>"
QUOTA = b"This repository is over its data quota. Account responsible for LFS bandwidth should purchase more."


def flipped(data: bytes) -> bytes:
    """`data` with one bit changed in the middle."""
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    return bytes(changed)


def test_f25_a_content_length_that_is_too_small_is_an_error(start, get, payload, store):
    def script(exchange):
        exchange.head(200, "Content-Length: 1000")
        exchange.send(payload.data)

    with pytest.raises(FetchError, match="announces 1000 bytes, 300000 are due"):
        get(start(script))
    assert visible(store) == []


def test_f26_a_content_length_that_is_too_big_is_an_error(start, get, payload, store):
    def script(exchange):
        exchange.head(200, "Content-Length: 400000")
        exchange.send(payload.data)

    with pytest.raises(FetchError, match="announces 400000 bytes, 300000 are due"):
        get(start(script))
    assert visible(store) == []


def test_f27_a_truncated_body_without_a_length_is_an_error(start, get, payload, store):
    def script(exchange):
        exchange.head(200)
        exchange.send(payload.data[:100_000])

    with pytest.raises(FetchError, match="ended after 100000 of 300000 bytes"):
        get(start(script))
    assert visible(store) == []


def test_f28_a_flipped_bit_is_an_error_and_goes_to_quarantine(start, get, payload, store):
    server = start(serve(flipped(payload.data)))
    with pytest.raises(DigestMismatchError, match=payload.sha256):
        get(server)
    assert visible(store) == []
    assert leftovers(store) == []
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_f28_the_recorded_etag_tells_damage_from_a_change(start, get, payload):
    server = start(serve(flipped(payload.data)))
    with pytest.raises(DigestMismatchError, match="damaged on the way"):
        get(server, etag='"v1"')
    with pytest.raises(DigestMismatchError, match="the publisher changed the file"):
        get(server, etag='"v0"')


def test_f28_two_tries_tell_damage_from_a_change_without_an_etag(start, get, payload):
    other = flipped(payload.data[1:] + b"x")
    with pytest.raises(DigestMismatchError, match="two tries gave different bytes, so it was damaged"):
        get(start(first(serve(other), then=serve(flipped(payload.data)))))
    with pytest.raises(DigestMismatchError, match="the same bytes came twice"):
        get(start(serve(flipped(payload.data))))


def test_f29_bytes_corrupted_once_are_fetched_again_from_the_start(start, get, payload):
    server = start(first(serve(flipped(payload.data)), then=serve(payload.data)))
    assert get(server).digest == payload.sha256
    assert server.header("range") == [None, None]


def test_f29_a_mirror_replaces_a_source_that_corrupts(start, get, payload):
    assert get(start(serve(flipped(payload.data))), start(serve(payload.data))).digest == payload.sha256


def test_f30_a_login_page_is_named_and_never_stored(start, get, store):
    server = start(status(200, LOGIN, "Content-Type: text/html"))
    with pytest.raises(FetchError, match='a login page titled "Welcome to Hotel WiFi" came instead'):
        get(server)
    assert visible(store) == []


def test_f30_a_page_is_named_also_where_size_and_digest_are_unknown(start, get, store):
    with pytest.raises(FetchError, match="page"):
        get(start(status(200, LOGIN)), sha256=None, size=None)
    assert visible(store) == []


def test_f31_a_page_that_comes_once_is_tried_again(start, get, payload):
    assert get(start(first(status(200, LOGIN), then=serve(payload.data)))).digest == payload.sha256


def pointer(payload) -> bytes:
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{payload.sha256}\nsize {len(payload.data)}\n"
    ).encode()


def test_f32_an_lfs_pointer_is_named_with_its_oid(start, get, payload, store):
    with pytest.raises(FetchError, match=f"Git LFS pointer came.*{payload.sha256}"):
        get(start(status(200, pointer(payload))))
    assert visible(store) == []


@pytest.fixture
def github(start, payload, monkeypatch):
    """A media host that gives a pointer, and the batch API with the object behind it."""

    def script(exchange):
        if exchange.path.startswith("/media/"):
            exchange.respond(200, pointer(payload))
        elif exchange.path.endswith("/info/lfs/objects/batch"):
            asked = json.loads(exchange.body)["objects"][0]
            action = {
                "download": {"href": server.url("/object"), "header": {"Authorization": "RemoteAuth x"}}
            }
            exchange.respond(200, json.dumps({"objects": [{**asked, "actions": action}]}).encode())
        else:
            serve(payload.data)(exchange)

    server = start(script)
    monkeypatch.setenv("ZOO_GITHUB_MEDIA", server.url("/media"))
    monkeypatch.setenv("ZOO_GITHUB", server.url(""))
    return server


def test_f32_github_lfs_resolves_a_pointer_through_the_batch_api(github, get, payload):
    blob = get(
        "github-lfs:onnx/models@0123abcd/vision/model.onnx", options=replace(QUICK, allow_private=True)
    )
    assert blob.digest == payload.sha256
    assert github.header("authorization")[-1] == "RemoteAuth x"


def test_f32_a_pointer_to_another_object_is_a_change_by_the_publisher(github, get):
    with pytest.raises(FetchError, match="the publisher changed the file"):
        get("github-lfs:onnx/models@0123abcd/vision/model.onnx", sha256="0" * 64)
    assert all("batch" not in exchange.path for exchange in github.requests)


@pytest.mark.parametrize("code", [200, 403, 422])
def test_f33_an_lfs_quota_page_is_named_and_the_next_mirror_asked(start, get, payload, code):
    over, good = start(status(code, QUOTA)), start(serve(payload.data))
    assert get(over, good).digest == payload.sha256
    assert len(over.requests) == 1
    with pytest.raises(FetchError, match="over its Git LFS quota"):
        get(over, sha256="0" * 64)


def test_f34_a_body_that_is_compressed_unasked_is_decoded_and_judged(start, get, payload):
    server = start(status(200, gzip.compress(payload.data), "Content-Encoding: gzip"))
    assert get(server).path.read_bytes() == payload.data


def test_f34_an_unknown_coding_is_refused(start, get, payload):
    with pytest.raises(FetchError, match="'br' though identity was asked for"):
        get(start(status(200, payload.data, "Content-Encoding: br")))


def test_f35_compression_is_never_asked_for(start, get, payload):
    server = start(serve(payload.data))
    get(server)
    assert server.header("accept-encoding") == ["identity"]


def bomb(megabytes: int) -> bytes:
    """So many megabytes of zeros as gzip."""
    deflate = zlib.compressobj(9, wbits=31)
    block = b"\0" * 2**20
    return b"".join(deflate.compress(block) for _ in range(megabytes)) + deflate.flush()


def test_f36_a_gzip_bomb_stops_at_the_expected_size_within_a_second(start, get, store):
    server = start(status(200, bomb(400), "Content-Encoding: gzip"))
    began = time.monotonic()
    with pytest.raises(FetchError, match="more than the 300000 bytes"):
        get(server)
    assert time.monotonic() - began < 1
    assert visible(store) + leftovers(store) == []


@pytest.mark.parametrize("headers", [(), ("Content-Length: 999999999999",)], ids=["no_length", "huge_length"])
def test_f37_an_endless_body_stops_at_the_expected_size_within_a_second(start, get, store, headers):
    server = start(endless(b"\1" * 65536, *headers))
    began = time.monotonic()
    with pytest.raises(FetchError, match=r"more than the 300000 bytes|announces 999999999999"):
        get(server)
    assert time.monotonic() - began < 1
    assert visible(store) + leftovers(store) == []


@pytest.mark.parametrize("code", [200, 204])
def test_f48_an_empty_success_is_an_error(start, get, store, code):
    with pytest.raises(FetchError, match=r"0 bytes|HTTP 204"):
        get(start(status(code)))
    assert visible(store) == []


def test_f48_an_empty_success_is_an_error_for_a_file_of_unknown_size(start, get, store):
    with pytest.raises(FetchError, match="the answer is empty"):
        get(start(status(200)), sha256=None, size=None)
    assert visible(store) == []


def test_f49_a_206_that_was_not_asked_for_is_an_error(start, get, payload):
    answer = status(206, payload.data, f"Content-Range: bytes 0-299999/{len(payload.data)}")
    with pytest.raises(FetchError, match="HTTP 206"):
        get(start(answer))


def test_f50_contradicting_lengths_are_refused(start, get, payload):
    def script(exchange):
        exchange.head(200, "Content-Length: 300000", "Content-Length: 299999")
        exchange.send(payload.data)

    with pytest.raises(FetchError, match=r"Content-Length|not proper HTTP"):
        get(start(script))


def test_f51_a_header_of_200_kb_is_refused(start, get, payload):
    server = start(status(200, payload.data, "X-Long: " + "x" * 200_000))
    with pytest.raises(FetchError, match="not proper HTTP"):
        get(server)
    assert len(server.requests) == 1


def test_f52_garbage_instead_of_http_is_an_error(start, get):
    with pytest.raises(FetchError, match="not proper HTTP"):
        get(start(lambda exchange: exchange.send(b"\x00\xff" * 500)))
