"""Many small files: the quick way, and that it hands every trouble to the careful one."""

from __future__ import annotations

import gzip
import threading
import time
from dataclasses import replace

import pytest

from tests.transfer.conftest import QUICK, Payload, leftovers, visible
from tests.transfer.faulty_server import endless, redirect, serve, status
from zoo.errors import DigestMismatchError, FetchError
from zoo.fetchers import FetchOptions, fetch_many


def payloads(count: int) -> list[Payload]:
    return [Payload(bytes([number]) * (1000 + number)) for number in range(count)]


def served(start, made: list[Payload], troubles: dict | None = None):
    """A server of many files, some of which get another script."""

    def script(exchange) -> None:
        number = int(exchange.path.removeprefix("/"))
        (troubles or {}).get(number, serve(made[number].data))(exchange)

    return start(script)


def specs_of(made: list[Payload], server, *mirrors) -> list:
    return [
        item.spec(server.url(f"/{n}"), *(mirror.url(f"/{n}") for mirror in mirrors), path=f"{n}.bin")
        for n, item in enumerate(made)
    ]


def once(fault, then):
    """A fault for the first request of a file only."""
    lock, seen = threading.Lock(), []

    def script(exchange) -> None:
        with lock:
            seen.append(exchange)
            (fault if len(seen) == 1 else then)(exchange)

    return script


@pytest.mark.parametrize(
    "fault",
    [
        lambda data: status(503),
        lambda data: serve(data[:-1]),
        lambda data: serve(data + b"x"),
        lambda data: serve(data[::-1] + b""),
        lambda data: serve(gzip.compress(data), "Content-Encoding: gzip"),
        lambda data: serve(b"<html><title>Please log in</title></html>", "Content-Type: text/html"),
        lambda data: endless(b"x" * 65536),
        lambda data: lambda exchange: exchange.reset(),
    ],
    ids=["busy", "short", "long", "other", "gzip", "page", "endless", "reset"],
)
def test_a_file_in_trouble_is_tried_again_and_the_others_come(start, store, fault):
    made = payloads(12)
    wanted = Payload(bytes(range(250)) * 8)
    made[5] = wanted
    server = served(start, made, {5: once(fault(wanted.data), serve(wanted.data))})
    blobs = fetch_many(specs_of(made, server), store, QUICK)
    assert [blob.digest for blob in blobs] == [item.sha256 for item in made]
    assert leftovers(store) == []


def test_a_file_goes_to_its_mirror(start, store):
    made = payloads(6)
    mirror = served(start, made)
    server = served(start, made, {2: status(404), 3: serve(b"x" * 1003)})
    assert len(fetch_many(specs_of(made, server, mirror), store, QUICK)) == 6
    assert sorted(exchange.path for exchange in mirror.requests) == ["/2", "/3"]


def test_a_wrong_file_is_named_put_aside_and_not_visible(start, store):
    made = payloads(6)
    server = served(start, made, {2: serve(b"x" * 1002)})
    with pytest.raises(DigestMismatchError):
        fetch_many(specs_of(made, server), store, QUICK)
    assert len(visible(store)) == 5
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_private_addresses_are_refused_at_every_hop(start, store):
    made = payloads(3)
    inside = served(start, made)
    with pytest.raises(FetchError, match="private address"):
        fetch_many(specs_of(made, inside), store, replace(QUICK, allow_private=False))
    assert inside.connections == 0
    hopping = served(start, made, {1: redirect("file:///etc/passwd")})
    with pytest.raises(FetchError, match="redirects to 'file:'"):
        fetch_many(specs_of(made, hopping), store, QUICK)


def test_what_is_there_already_opens_no_socket(start, store):
    made = payloads(20)
    server = served(start, made)
    fetch_many(specs_of(made, server), store, QUICK)
    before = server.connections
    assert len(fetch_many(specs_of(made, server), store, QUICK)) == 20
    assert (server.connections, len(server.requests)) == (before, 20)


def test_two_at_once_make_one_download(start, store):
    made = payloads(10)
    server = served(start, made, {0: lambda exchange: (time.sleep(0.5), serve(made[0].data)(exchange))})
    threads = [threading.Thread(target=fetch_many, args=(specs_of(made, server), store, QUICK)) for _ in "12"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(visible(store)) == len(server.requests) == 10


def test_the_same_bytes_under_two_names_come_once(start, store):
    made = payloads(4)
    server = served(start, made)
    specs = specs_of(made, server)
    twins = [*specs, replace(specs[0], path="again.bin")]
    assert [blob.digest for blob in fetch_many(twins, store, QUICK)] == [spec.sha256 for spec in twins]
    assert len(server.requests) == 4


def test_a_rate_limit_is_kept_over_small_files(start, store):
    made = [Payload(bytes([number]) * 50_000) for number in range(4)]
    began = time.monotonic()
    fetch_many(specs_of(made, served(start, made)), store, replace(QUICK, max_rate=100_000))
    assert time.monotonic() - began > 0.3


def test_files_without_sources_are_named(store):
    with pytest.raises(FetchError, match="has no sources"):
        fetch_many([item.spec() for item in payloads(2)], store, FetchOptions())


def test_a_busy_server_is_given_the_time_it_asked_for(start, store):
    made = payloads(2)
    moments: list[float] = []
    answers = once(status(503, b"", "Retry-After: 1"), serve(made[0].data))

    def busy(exchange) -> None:
        moments.append(time.monotonic())
        answers(exchange)

    server = served(start, made, {0: busy})
    assert len(fetch_many(specs_of(made, server), store, QUICK)) == 2
    assert moments[1] - moments[0] >= 1
