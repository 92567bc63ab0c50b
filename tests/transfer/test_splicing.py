"""Large bodies of plain connections go through the kernel: the same bytes, errors and resumes."""

from __future__ import annotations

import errno
import os
import random
import time
from dataclasses import replace

import pytest

from tests.transfer.conftest import QUICK, Payload, leftovers, visible
from tests.transfer.faulty_server import cut, first, serve, stall
from zoo.errors import DigestMismatchError, FetchError
from zoo.transfer import splicing

pytestmark = pytest.mark.skipif(not hasattr(os, "splice"), reason="only Linux splices")


@pytest.fixture(scope="module")
def payload() -> Payload:
    return Payload(random.Random(5).randbytes(9_000_001))


@pytest.fixture(autouse=True)
def moved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was spliced; nine megabytes are enough here."""
    counts: list[int] = []
    splice = splicing.splice

    def counted(*args):
        counts.append(splice(*args))
        return counts[-1]

    monkeypatch.setattr(splicing, "LEAST", 2**20)
    monkeypatch.setattr(splicing, "splice", counted)
    return counts


def test_a_large_body_is_spliced_and_hashed(start, get, payload, moved):
    blob = get(start(serve(payload.data)))
    assert blob.path.read_bytes() == payload.data
    assert sum(moved) > 8_000_000


def test_a_body_that_ends_early_is_resumed_where_it_ended(start, get, payload, moved):
    server = start(first(cut(payload.data, 5_000_003), then=serve(payload.data)))
    assert get(server).path.read_bytes() == payload.data
    assert server.header("range") == [None, "bytes=5000003-"]


def test_a_body_that_stalls_is_resumed(start, get, payload, moved):
    server = start(first(stall(5, before=cut(payload.data, 4_000_000)), then=serve(payload.data)))
    assert get(server).path.read_bytes() == payload.data
    assert server.header("range") == [None, "bytes=4000000-"]


def test_another_body_of_the_same_size_is_refused(start, get, payload, moved, store):
    with pytest.raises(DigestMismatchError):
        get(start(serve(payload.data[:-1] + b"\0")))
    assert sum(moved) > 8_000_000
    assert visible(store) == []


def test_a_body_that_goes_on_is_cut_at_its_size(start, get, payload, moved, store):
    def longer(exchange) -> None:
        exchange.head(200, f"Content-Length: {len(payload.data)}", "Connection: close")
        exchange.send(payload.data + b"more" * 1000)

    assert get(start(longer)).path.stat().st_size == len(payload.data)


@pytest.mark.parametrize("side", ["socket", "file"])
def test_where_splicing_is_not_possible_nothing_is_lost(start, get, payload, moved, monkeypatch, side):
    splice, calls = os.splice, []

    def refusing(source: int, target: int, count: int) -> int:
        into_file = os.fstat(target).st_size > 0
        calls.append(into_file)
        if into_file == (side == "file") and len(calls) > 3:
            raise OSError(errno.EINVAL, "Invalid argument")
        return splice(source, target, count)

    monkeypatch.setattr(os, "splice", refusing)
    assert get(start(serve(payload.data))).path.read_bytes() == payload.data
    assert len(calls) > 3


def test_a_full_disk_is_named(start, get, payload, moved, monkeypatch, store):
    splice = os.splice

    def full(source: int, target: int, count: int) -> int:
        if os.fstat(target).st_size > 3_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return splice(source, target, count)

    monkeypatch.setattr(os, "splice", full)
    with pytest.raises(Exception, match="no room"):
        get(start(serve(payload.data)))
    assert leftovers(store) == visible(store) == []


def test_a_page_instead_of_the_file_is_seen_before_it_is_spliced(start, get, payload, moved):
    page = b"<!doctype html><title>Log in</title>" + b" " * (len(payload.data) - 36)
    with pytest.raises(FetchError, match="Log in"):
        get(start(serve(page)))
    assert moved == []


def test_a_rate_limit_is_kept(start, get, payload, moved):
    began = time.monotonic()
    get(start(serve(payload.data)), options=replace(QUICK, max_rate=12e6))
    assert time.monotonic() - began >= 0.6
    assert sum(moved) > 8_000_000
