"""F55–F61: processes that die, wait, meet a full or read-only disk, or have no network."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.transfer.conftest import QUICK, Payload, leftovers, visible
from tests.transfer.faulty_server import serve, trickle
from zoo.errors import OfflineError
from zoo.fetchers import fetch
from zoo.store import Store

ROOT = Path(__file__).parents[2]
CHILD = [sys.executable, "-m", "tests.transfer.child"]


def order(payload: Payload, store: Store | Path, *sources: str, **extra: object) -> str:
    root = store.root if isinstance(store, Store) else store
    fields = {"sha256": payload.sha256, "size": len(payload.data), "store": str(root), "sources": sources}
    return json.dumps({**fields, **extra})


def outcome(*command: str, **kwargs) -> dict:
    """What a child printed."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, **kwargs)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Zygote:
    """Starts fetching processes quickly."""

    def __enter__(self) -> Zygote:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([*CHILD, "--zygote"], text=True, cwd=ROOT, **pipes)
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def fetch(self, text: str, kill_after: float | None) -> int:
        """The exit status of a child, killed after so many seconds."""
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):  # it was quicker
                os.kill(pid, signal.SIGKILL)
        return int(self.process.stdout.readline())


def slow_server(data: bytes, block: int = 32_768, pause: float = 0.004):
    """Serves ranges in blocks with pauses, so that a kill finds it at work."""

    def script(exchange) -> None:
        asked = exchange.range() or (0, None)
        part = data[asked[0] :]
        if exchange.range():
            exchange.head(
                206,
                f"Content-Range: bytes {asked[0]}-{len(data) - 1}/{len(data)}",
                f"Content-Length: {len(part)}",
                'ETag: "v1"',
            )
        else:
            exchange.head(200, f"Content-Length: {len(part)}", 'ETag: "v1"')
        for at in range(0, len(part), block):
            exchange.send(part[at : at + block])
            time.sleep(pause)

    return script


@pytest.mark.parametrize("kills", [100, pytest.param(200, marks=pytest.mark.slow)])
def test_f55_kill_9_at_random_moments_never_leaves_a_wrong_file(start, tmp_path, kills):
    rng = random.Random(7)
    payload = Payload(rng.randbytes(2_000_000))
    server = start(slow_server(payload.data))
    store = Store(tmp_path / "killed")
    killed = 0
    with Zygote() as zygote:
        for _ in range(kills):
            status = zygote.fetch(order(payload, store, server.url()), rng.uniform(0.0, 0.35))
            killed += os.WIFSIGNALED(status)
            for path in visible(store):
                assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
                path.unlink()
        assert killed > kills / 3
        assert zygote.fetch(order(payload, store, server.url()), None) == 0
    assert [path.name for path in visible(store)] == [payload.sha256]
    assert sum(value is not None for value in server.header("range")) > kills / 10


def test_f55_a_killed_process_is_resumed_by_the_next_one(start, tmp_path):
    payload = Payload(random.Random(8).randbytes(4_000_000))
    server = start(slow_server(payload.data, 40_000, 0.01))
    store = Store(tmp_path / "killed")
    with Zygote() as zygote:
        assert os.WIFSIGNALED(zygote.fetch(order(payload, store, server.url()), 0.8))
        had = max(path.stat().st_size for path in leftovers(store))
        assert had > 1_000_000
        assert zygote.fetch(order(payload, store, server.url()), None) == 0
    assert server.header("range")[1] == f"bytes={had}-"
    assert server.header("if-range")[1] == '"v1"'


def test_f56_sixteen_processes_make_one_download(start, payload, store):
    server = start(trickle(payload.data, 30_000, 0.2))
    command = [*CHILD, order(payload, store, server.url())]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(16)]
    outcomes = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    assert {item["digest"] for item in outcomes} == {payload.sha256}
    assert len(server.requests) == 1


def test_f57_a_lock_of_a_dead_process_is_free(start, get, payload, store):
    holder = subprocess.Popen(
        [*CHILD, order(payload, store, start(trickle(payload.data, 100, 0.2)).url())], cwd=ROOT
    )
    _wait_for_lock(store)
    holder.kill()
    holder.wait()
    began = time.monotonic()
    assert get(start(serve(payload.data))).digest == payload.sha256
    assert time.monotonic() - began < 2


def test_f57_a_lock_of_a_stopped_process_is_waited_for_and_then_passed_by(start, payload, store, caplog):
    slow = start(trickle(payload.data, 100, 0.2))
    holder = subprocess.Popen([*CHILD, order(payload, store, slow.url())], cwd=ROOT)
    try:
        _wait_for_lock(store)
        holder.send_signal(signal.SIGSTOP)
        spec = payload.spec(start(serve(payload.data)).url())
        blob = fetch(spec, store, dataclasses.replace(QUICK, lock_timeout=0.5))
        assert blob.digest == payload.sha256
        assert "downloading it here too" in caplog.text
        assert f"process {holder.pid}" in caplog.text
    finally:
        holder.kill()
        holder.wait()


def _wait_for_lock(store: Store) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if any(path.read_text() for path in (store.root / "locks").glob("fetch-*.lock")):
            return
        time.sleep(0.02)
    raise AssertionError("the other process never took the lock")


def _unshared(*options: str) -> list[str]:
    """A command prefix for namespaces of its own, or a skip where the kernel forbids them."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, *options, "true"], capture_output=True).returncode:
        pytest.skip(f"this machine does not permit unshare {' '.join(options)}")
    return [unshare, *options]


@pytest.mark.parametrize("known", [True, False], ids=["checked_before", "met_on_the_way"])
def test_f58_a_full_disk_is_named_and_nothing_is_left(start, tmp_path, known):
    payload = Payload(random.Random(9).randbytes(3_000_000))
    server = start(serve(payload.data))
    full = tmp_path / "full"
    full.mkdir()
    size = len(payload.data) if known else None
    text = order(payload, full / "store", server.url(), size=size)
    script = (
        'mount -t tmpfs -o size=2m tmpfs "$1" && "$2" -m tests.transfer.child "$3" && find "$1" -size +100k'
    )
    command = [*_unshared("-rm"), "sh", "-c", script, "sh", str(full), sys.executable, text]
    found = outcome(*command)
    assert found["error"] == "DiskFullError"
    assert len(server.requests) == (0 if known else 1)


def test_f59_a_read_only_cache_serves_what_it_has(start, get, payload, store):
    get(start(serve(payload.data)))
    command = _read_only(store, order(payload, store))
    assert outcome(*command)["digest"] == payload.sha256


def test_f59_a_read_only_cache_says_so_when_it_lacks_a_file(start, payload, store):
    store.root.mkdir()
    server = start(serve(payload.data))
    found = outcome(*_read_only(store, order(payload, store, server.url())))
    assert found["error"] == "StoreError"
    assert "ead-only" in found["message"]


def test_f59_a_read_only_layer_lies_under_a_writable_store(start, get, payload, store, tmp_path):
    get(start(serve(payload.data)))
    upper = Store(tmp_path / "upper")
    command = _read_only(store, order(payload, upper, layers=[str(store.root)]))
    assert outcome(*command)["digest"] == payload.sha256


def _read_only(store: Store, text: str) -> list[str]:
    """A child that sees the store read-only, whoever it runs as."""
    script = (
        'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2" -m tests.transfer.child "$3"'
    )
    return [*_unshared("-rm"), "sh", "-c", script, "sh", str(store.root), sys.executable, text]


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_f60_a_damaged_blob_is_put_aside_and_fetched_again(start, get, payload, store, damage):
    server = start(serve(payload.data))
    blob = get(server)
    blob.path.chmod(0o644)
    data = bytearray(payload.data)
    data[1000] ^= 1
    blob.path.write_bytes(bytes(data) if damage == "flipped" else payload.data[:1000])
    assert get(server).path.read_bytes() == payload.data
    assert len(server.requests) == 2
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_f61_offline_answers_from_the_store_without_a_network(start, get, payload, store):
    get(start(serve(payload.data)))
    command = [
        *_unshared("-rn"),
        *CHILD,
        order(payload, store, "https://no-such-host.invalid/x", options={"offline": True}),
    ]
    assert outcome(*command)["digest"] == payload.sha256


def test_f61_offline_opens_no_socket_for_what_is_missing(start, payload, store, monkeypatch):
    server = start(serve(payload.data))
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(OfflineError, match="not in the store"):
        fetch(payload.spec(server.url()), store, QUICK)
    assert server.connections == 0


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=["ctrl_c", "kill_9"])
def test_an_interrupted_fetch_is_taken_up_again_and_says_so(start, tmp_path, sign):
    payload = Payload(random.Random(10).randbytes(4_000_000))
    server = start(slow_server(payload.data, 40_000, 0.01))
    store = Store(tmp_path / "interrupted")
    command = [*CHILD, order(payload, store, server.url(), options={"progress": True})]
    # A shell starts its background jobs deaf to Ctrl-C, and a test suite may be one.
    hears = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    running = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=hears
    )
    until = time.monotonic() + 20
    while sum(path.stat().st_size for path in leftovers(store)) < 0.6 * len(payload.data):
        assert time.monotonic() < until
        time.sleep(0.01)
    running.send_signal(sign)
    assert running.wait(10) != 0
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert json.loads(again.stdout)["digest"] == payload.sha256
    assert "bytes were there already" in again.stderr
    assert int(server.header("range")[1].removeprefix("bytes=").rstrip("-")) >= 0.5 * len(payload.data)
