"""F65: one file over several connections, and every way in which a segment can betray it."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from dataclasses import replace

import pytest

from tests.transfer.conftest import QUICK, Payload, leftovers, visible
from tests.transfer.faulty_server import FaultyServer, cut, first, serve, throttled
from zoo.errors import FetchError
from zoo.fetchers import fetch
from zoo.transfer.segments import SMALLEST, Board

MANY = replace(QUICK, connections=6, timeout=3.0)
RATE = 8e6


@pytest.fixture(scope="module")
def big() -> Payload:
    """24 MB: enough for company to be worth its while."""
    return Payload(random.Random(3).randbytes(24_000_000))


def ranges(server: FaultyServer) -> list[str]:
    return [value for value in server.header("range") if value]


def test_a_slow_connection_gets_company(start, store, big):
    server = start(throttled(big.data, RATE))
    began = time.monotonic()
    assert fetch(big.spec(server.url()), store, MANY).path.read_bytes() == big.data
    assert time.monotonic() - began < 0.7 * len(big.data) / RATE
    assert server.connections > 3


def test_a_fast_connection_stays_alone(start, store, big):
    server = start(serve(big.data))
    fetch(big.spec(server.url()), store, MANY)
    assert len(server.requests) == 1


def test_one_connection_is_kept_where_that_was_asked(start, store, big):
    server = start(throttled(big.data, 3 * RATE))
    fetch(big.spec(server.url()), store, replace(MANY, connections=1))
    assert len(server.requests) == 1


def test_progress_of_a_parallel_fetch_only_grows_and_ends_at_the_size(start, store, big):
    seen: list[int] = []
    server = start(throttled(big.data, RATE))
    fetch(big.spec(server.url()), store, replace(MANY, progress=lambda done, total: seen.append(done)))
    assert seen == sorted(seen)
    assert seen[-1] == len(big.data)


def spoiled(data: bytes, spoil) -> object:
    """A throttled server whose third ranged answer goes wrong, and no other."""
    good, counter, lock = throttled(data, RATE), itertools.count(), threading.Lock()

    def script(exchange) -> None:
        with lock:
            third = exchange.range() is not None and next(counter) == 2
        (spoil if third else good)(exchange)

    return script


def other_etag(exchange) -> None:
    start, end = exchange.range()
    part = bytes(end + 1 - start)
    span = f"Content-Range: bytes {start}-{end}/24000000"
    exchange.respond(206, part, span, 'ETag: "v2"')


def short(exchange) -> None:
    start, end = exchange.range()
    exchange.respond(206, b"", f"Content-Range: bytes {start}-{end}/24000000", 'ETag: "v1"')


def whole(exchange) -> None:
    exchange.respond(200, bytes(24_000_000), 'ETag: "v1"')


def shifted(exchange) -> None:
    start, end = exchange.range()
    part = bytes(end + 1 - start)
    exchange.respond(206, part, f"Content-Range: bytes {start + 1}-{end + 1}/24000000", 'ETag: "v1"')


@pytest.mark.parametrize("spoil", [other_etag, whole, shifted])
def test_f65_a_segment_of_another_file_ends_the_parallel_phase(start, store, big, spoil):
    server = start(spoiled(big.data, spoil))
    assert fetch(big.spec(server.url()), store, MANY).digest == big.sha256
    last = server.requests[-1].headers
    assert last["range"].endswith("-"), "a single stream finishes the file"
    assert last["if-range"] == '"v1"'


def test_f65_a_short_segment_is_fetched_again(start, store, big):
    server = start(spoiled(big.data, short))
    assert fetch(big.spec(server.url()), store, MANY).digest == big.sha256


def test_f65_a_server_that_refuses_more_connections_is_served_with_fewer(start, store, big):
    busy = threading.Semaphore(2)
    good = throttled(big.data, 2 * RATE)

    def script(exchange) -> None:
        if not busy.acquire(blocking=False):
            exchange.respond(503)
            return
        try:
            good(exchange)
        finally:
            busy.release()

    assert fetch(big.spec(start(script).url()), store, MANY).digest == big.sha256


def test_f65_segments_of_a_failed_phase_are_resumed(start, store, big):
    """All connections die in the middle; the next call fetches only what is missing."""
    dying, counter, lock = throttled(big.data, RATE), itertools.count(), threading.Lock()

    def script(exchange) -> None:
        with lock:
            late = next(counter) > 4
        if late:
            exchange.reset()
        else:
            dying(exchange)

    with pytest.raises(FetchError):
        fetch(big.spec(start(script).url()), store, replace(MANY, retries=0))
    assert visible(store) == []
    note = json.loads(next(path for path in leftovers(store) if path.suffix == ".json").read_text())
    there = note["prefix"] + sum(stop - begin for begin, stop in note["islands"])
    assert there > 3 * SMALLEST
    server = start(serve(big.data))
    assert fetch(big.spec(server.url()), store, MANY).digest == big.sha256
    assert f"bytes={note['prefix']}-" in ranges(server)


def test_a_board_hands_out_every_byte_once_and_lets_idle_workers_steal():
    board = Board(1000, [(3 * SMALLEST, 4 * SMALLEST)], 6 * SMALLEST, workers=2)
    spans = []
    while (segment := board.claim()) is not None:
        spans.append(segment)
    covered = sorted((segment.start, segment.stop) for segment in spans)
    assert covered[0][0] == 1000
    assert sum(stop - begin for begin, stop in covered) == 5 * SMALLEST - 1000
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(covered))
    for segment in spans:
        board.advance(segment, segment.left)
    assert board.frontier() == board.done() == 6 * SMALLEST


def test_a_rate_limit_is_kept(start, store, payload):
    began = time.monotonic()
    fetch(payload.spec(start(serve(payload.data)).url()), store, replace(QUICK, max_rate=200_000))
    assert 1.2 <= time.monotonic() - began < 3


def test_a_rate_limit_holds_after_a_resume(start, store, payload):
    server = start(first(cut(payload.data, 100_000), then=serve(payload.data)))
    began = time.monotonic()
    fetch(payload.spec(server.url()), store, replace(QUICK, max_rate=200_000))
    assert time.monotonic() - began >= 1.2
