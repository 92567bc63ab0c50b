"""Many small blobs with one flush: each is right or absent, whatever happens in the middle."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.store.test_crashes import visible_blobs
from zoo.errors import DigestMismatchError, DiskFullError
from zoo.store import Store, batch


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def blobs(count: int, size: int = 1000) -> dict[str, bytes]:
    rng = random.Random(count)
    made = [rng.randbytes(size) for _ in range(count)]
    return {digest_of(data): data for data in made}


def put_all(store: Store, wanted: dict[str, bytes]) -> batch.Batch:
    with store.batch(sum(map(len, wanted.values()))) as arriving:
        for digest, data in wanted.items():
            arriving.put(digest, data)
    return arriving


@pytest.mark.parametrize("count", [3, 40], ids=["flushed_one_by_one", "flushed_at_once"])
def test_every_blob_of_a_batch_has_its_name_and_is_read_only(tmp_path: Path, count: int) -> None:
    wanted, store = blobs(count), Store(tmp_path)
    made = put_all(store, wanted)
    assert {digest: made.blobs[digest].path.read_bytes() for digest in made.blobs} == wanted
    assert {path.stat().st_mode & 0o777 for path in visible_blobs(tmp_path)} == {0o444}
    assert all(store.find(digest) for digest in wanted)


def test_wrong_bytes_are_refused_and_the_others_are_kept(tmp_path: Path) -> None:
    wanted = blobs(3)
    first, second, third = wanted
    with pytest.raises(DigestMismatchError):
        put_all(Store(tmp_path), {first: wanted[first], second: wanted[third]})
    assert [path.name for path in visible_blobs(tmp_path)] == [first]
    assert list(tmp_path.rglob("*.part")) == []


def test_an_interrupt_keeps_what_came(tmp_path: Path) -> None:
    digest, data = next(iter(blobs(2).items()))

    def interrupted() -> None:
        with Store(tmp_path).batch(2000) as arriving:
            arriving.put(digest, data)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(visible_blobs(tmp_path)) == 1


def test_a_batch_without_room_is_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError), Store(tmp_path).batch(2**60):
        pytest.fail("the block ran")


def test_nothing_has_a_name_before_it_was_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> bool:
        assert visible_blobs(tmp_path) == []
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(batch, "_sync_file_system", broken)
    with pytest.raises(Exception, match="Input/output error"):
        put_all(Store(tmp_path), blobs(20))
    assert visible_blobs(tmp_path) == []
    assert list(tmp_path.rglob("*.part")) == []


def test_a_system_without_syncfs_flushes_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed, fsync = [], os.fsync
    monkeypatch.setattr(batch, "_sync_file_system", lambda path: False)
    monkeypatch.setattr(os, "fsync", lambda handle: (flushed.append(handle), fsync(handle))[1])
    put_all(Store(tmp_path), blobs(20))
    assert len(flushed) > 20


WRITER = """
import os, random, sys
from pathlib import Path
from tests.store.test_batch import blobs, put_all
from zoo.store import Store

while line := sys.stdin.readline():
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)
        for n in range(1000):
            put_all(Store(Path(sys.argv[1])), blobs(9 + (int(line) * 31 + n) % 200, 5000))
            if n == 0:
                print("at work", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


def test_a_kill_in_the_middle_of_a_batch_leaves_no_wrong_blob(tmp_path: Path) -> None:
    moments, root = random.Random(1), Path(__file__).parents[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": root, "text": True}
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], **pipes) as parent:
        for turn in range(60):
            parent.stdin.write(f"{turn}\n")
            parent.stdin.flush()
            victim = int(parent.stdout.readline())
            if turn % 2:  # every second one has stored something, however busy this machine is
                assert parent.stdout.readline() == "at work\n"
            time.sleep(moments.uniform(0.0, 0.05))
            os.kill(victim, signal.SIGKILL)
            while parent.stdout.readline() != "ended\n":
                pass
        parent.stdin.close()
    assert len(visible_blobs(tmp_path)) > 60
    for path in visible_blobs(tmp_path):
        assert digest_of(path.read_bytes()) == path.name
    put_all(Store(tmp_path), blobs(2))
    assert list(tmp_path.rglob("*.part")) == [], "the next batch sweeps what dead ones left"
