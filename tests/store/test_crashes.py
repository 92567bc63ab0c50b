"""kill -9, many processes at once, full disks and read-only ones: what is visible is right."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.test_store import put
from zoo.errors import DiskFullError, StoreError
from zoo.store import Store

WRITER = """
import os, sys
from pathlib import Path
from zoo.store import Store

store = Store(Path(sys.argv[1]))
# One process forks all the victims: starting Python anew would take most of the time.
while line := sys.stdin.readline():
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)
        for n in range(1000):
            data = b"%d-%d-" % (int(line), n) * (1 + 40_000 * (n % 5))
            with store.receiving(None, len(data)) as incoming:
                with incoming.path.open("wb") as file:
                    for start in range(0, len(data), 65536):
                        file.write(data[start : start + 65536])
            store.remember("pulls", f"k{n % 7}", {"files": {"m": incoming.blob.digest}})
            store.materialise({"a": incoming.blob.digest, "b": incoming.blob.digest}, "m%d" % (n % 3))
            if n == 0:
                print("at work", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


def visible_blobs(root: Path) -> list[Path]:
    return [p for p in (root / "sha256").rglob("*") if p.is_file() and not p.name.endswith(".part")]


def assert_all_right(root: Path) -> int:
    blobs = visible_blobs(root)
    for path in blobs:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    for folder in (root / "models").glob("*/*"):
        if not folder.name.startswith("."):
            one, two = (folder / "a").read_bytes(), (folder / "b").read_bytes()
            assert one == two
            assert len(one) > 0
    return len(blobs)


def kill_at_random_moments(root: Path, times: int) -> int:
    """Kill a writing process `times` times; how many of them left a temporary file behind."""
    moments = random.Random(times)
    command = [sys.executable, "-c", WRITER, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        for turn in range(times):
            parent.stdin.write(f"{turn}\n")
            parent.stdin.flush()
            victim = int(parent.stdout.readline())
            if turn % 2:  # every second one has stored something, however busy this machine is
                assert parent.stdout.readline() == "at work\n"
            time.sleep(moments.uniform(0.0, 0.08))
            os.kill(victim, signal.SIGKILL)
            while parent.stdout.readline() != "ended\n":
                pass
        parent.stdin.close()
    return len(list(root.rglob("*.part"))) + len(list(root.rglob("*.tmp")))


@pytest.mark.parametrize("times", [100, pytest.param(200, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_leaves_only_right_blobs_and_files_to_sweep(tmp_path: Path, times: int) -> None:
    leftovers = kill_at_random_moments(tmp_path, times)

    assert assert_all_right(tmp_path) >= times // 2
    assert leftovers > 10
    swept = Store(tmp_path).prune(grace=0).removed
    assert len([one for one in swept if one.what == "leftover"]) == leftovers
    assert [p for p in tmp_path.rglob("*") if p.name.endswith((".part", ".tmp"))] == []
    assert_all_right(tmp_path)
    assert Store(tmp_path).verify().damaged == ()


STALLED = """
import sys, time
from pathlib import Path
from zoo.store import Store
with Store(Path(sys.argv[1])).receiving(sys.argv[2], 12) as incoming:
    incoming.path.write_bytes(b"hello")
    incoming.path.with_name(incoming.path.name + ".json").write_text("{}")
    print("written", flush=True)
    time.sleep(60)
"""


def test_the_file_of_a_killed_process_is_continued_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    data = b"hello, store"
    digest = hashlib.sha256(data).hexdigest()
    command = [sys.executable, "-c", STALLED, str(tmp_path), digest]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        with Store(tmp_path).receiving(digest, 12) as mine:
            alone = mine.path.read_bytes()
            mine.path.write_bytes(data)
        (tmp_path / "sha256" / digest[:2] / digest).unlink()
        writer.kill()
    assert alone == b""

    with Store(tmp_path).receiving(digest, 12) as incoming:
        assert incoming.path.read_bytes() == b"hello"
        incoming.path.write_bytes(data)
    assert Store(tmp_path).need(digest).read_bytes() == data
    assert list(tmp_path.rglob("*.part*")) == []


def add_once(root: Path, start: float, results: multiprocessing.Queue[str]) -> None:
    time.sleep(max(0.0, start - time.time()))
    data = bytes(range(256)) * 40_000
    digest = hashlib.sha256(data).hexdigest()
    with Store(root).receiving(digest, len(data)) as incoming:
        incoming.path.write_bytes(data)
    found = Store(root).find(digest)
    results.put(str(found))


def test_sixteen_processes_that_add_one_blob_all_succeed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    start = time.time() + 3
    processes = [context.Process(target=add_once, args=(tmp_path, start, results)) for _ in range(16)]
    for process in processes:
        process.start()
    found = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * 16
    (path,) = visible_blobs(tmp_path)
    assert found == {str(path)}
    assert_all_right(tmp_path)
    assert list(tmp_path.rglob("*.part")) == []
    assert not (tmp_path / "quarantine").exists()


# --- file systems that say no ----------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small disk needs root: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_fills_while_receiving_ends_in_an_error_and_no_file(small_disk: Path) -> None:
    store = Store(small_disk)
    with pytest.raises(DiskFullError, match="no room"), store.receiving(None, None) as incoming:
        incoming.path.write_bytes(bytes(4 << 20))
    assert [p for p in small_disk.rglob("*") if p.is_file()] == []


def test_what_does_not_fit_is_refused_before_the_first_byte(small_disk: Path) -> None:
    with pytest.raises(DiskFullError) as caught, Store(small_disk).receiving(None, 4 << 20):
        pytest.fail("the block must not run")
    assert caught.value.needed == 4 << 20
    assert caught.value.available is not None
    assert caught.value.available < 3 << 20


def test_adding_and_materialising_on_a_full_disk_says_so(small_disk: Path, tmp_path: Path) -> None:
    store = Store(small_disk)
    big = tmp_path / "big"
    big.write_bytes(bytes(1_200_000))
    files = {"a": store.add(big).digest, "b": put(store, b"small")}
    with pytest.raises(DiskFullError):
        store.materialise(files, "m")
    with pytest.raises(DiskFullError):
        store.remember("pulls", "x", "y" * 2_000_000)
    assert store.recall("pulls", "x") is None
    assert [p for p in small_disk.rglob("*") if p.name.endswith((".tmp", ".part"))] == []


def test_a_read_only_file_system_serves_hits_and_explains_misses(small_disk: Path) -> None:
    writer = Store(small_disk)
    one, two = put(writer, b"one"), put(writer, b"two")
    folder = writer.materialise({"a": one, "b": two}, "m")
    writer.remember("pulls", "m", 1)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    store = Store(small_disk)
    assert store.need(one).read_bytes() == b"one"
    assert store.materialise({"a": one, "b": two}, "m") == folder
    assert store.recall("pulls", "m") == 1
    with store.lock("pull-m", timeout=0):
        pass
    for write in (
        lambda: store.remember("pulls", "n", 1),
        lambda: put(store, b"three"),
        lambda: store.materialise({"a": one}, "m"),
    ):
        with pytest.raises(StoreError, match="Read-only file system") as caught:
            write()
        assert "ZOO_CACHE_LAYERS" in (caught.value.hint or "")


@pytest.fixture
def reflinking_disk(tmp_path: Path) -> Iterator[Path]:
    """A btrfs of 256 MiB: a file system that can share blocks."""
    image, disk = tmp_path / "image", tmp_path / "btrfs"
    if shutil.which("mkfs.btrfs") is None:
        pytest.skip("mkfs.btrfs (btrfs-progs) is not installed")
    image.write_bytes(b"")
    os.truncate(image, 256 << 20)
    disk.mkdir()
    subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True, capture_output=True)
    mounted = subprocess.run(["mount", "-o", "loop", str(image), str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a disk image needs root and loop devices: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_files_share_their_blocks_where_the_file_system_can(reflinking_disk: Path) -> None:
    original = reflinking_disk / "weights.bin"
    original.write_bytes(random.Random(0).randbytes(40 << 20))
    os.sync()
    before = shutil.disk_usage(reflinking_disk).used

    store = Store(reflinking_disk / "store")
    files = {"m.onnx": put(store, b"graph"), "weights.bin": store.add(original).digest}
    folder = store.materialise(files, "m")
    os.sync()

    assert shutil.disk_usage(reflinking_disk).used - before < 8 << 20  # copies would take 80 MiB
    assert (folder / "weights.bin").read_bytes() == original.read_bytes()
    assert not (folder / "weights.bin").is_symlink()
    assert (folder / "weights.bin").stat().st_nlink == 1
    assert store.verify().passed


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Root may write everywhere; these tests must not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def foreign_store() -> Iterator[Path]:
    """A store that another user owns, with one blob, where everybody may look."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        put(Store(root), b"one")
        for inside in (root, *(p for p in root.rglob("*") if p.is_dir())):
            inside.chmod(0o555)
        yield root


def test_a_store_of_another_user_serves_hits_and_explains_misses(
    foreign_store: Path, as_nobody: None
) -> None:
    store = Store(foreign_store)
    assert store.need(hashlib.sha256(b"one").hexdigest()).read_bytes() == b"one"
    with pytest.raises(StoreError, match="Permission denied") as caught:
        put(store, b"two")
    assert "ZOO_CACHE" in (caught.value.hint or "")
