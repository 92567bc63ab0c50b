"""The store as its callers see it: bytes in, verified bytes out."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
import timeit
from pathlib import Path

import pytest

from zoo.errors import DigestMismatchError, DiskFullError, StoreError, UsageError
from zoo.store import Store
from zoo.store.disk import owner_token
from zoo.store.memo import Memo

HELLO = b"hello, store"
HELLO_DIGEST = hashlib.sha256(HELLO).hexdigest()


def put(store: Store, data: bytes) -> str:
    """Store `data` and give its digest back."""
    with store.receiving(None, len(data)) as incoming:
        incoming.path.write_bytes(data)
    assert incoming.blob is not None
    return incoming.blob.digest


def break_off(store: Store, error: Exception, *, notes: bool) -> None:
    """Write five bytes of HELLO, with or without notes on how to resume, and fail."""
    with store.receiving(HELLO_DIGEST, 12) as incoming:
        incoming.path.write_bytes(HELLO[:5])
        if notes:
            incoming.path.with_name(incoming.path.name + ".json").write_text("{}")
        raise error


def damage(path: Path) -> None:
    """Flip one bit in place, keeping size and mtime."""
    stat = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    path.chmod(0o444)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_blob_lies_under_its_digest_and_is_read_only(store: Store) -> None:
    with store.receiving(HELLO_DIGEST, len(HELLO)) as incoming:
        incoming.path.write_bytes(HELLO)

    path = store.root / "sha256" / HELLO_DIGEST[:2] / HELLO_DIGEST
    assert store.find(HELLO_DIGEST) == path
    assert path.read_bytes() == HELLO
    assert path.stat().st_mode & 0o777 == 0o444
    assert [child.name for child in path.parent.iterdir()] == [HELLO_DIGEST]


def test_looking_for_what_is_not_there_creates_nothing(store: Store) -> None:
    assert store.find(HELLO_DIGEST) is None
    assert store.recall("pulls", "x") is None
    assert not store.root.exists()


def test_wrong_bytes_of_the_right_size_go_to_quarantine(store: Store) -> None:
    with (
        pytest.raises(DigestMismatchError, match=HELLO_DIGEST),
        store.receiving(HELLO_DIGEST, 12) as incoming,
    ):
        incoming.path.write_bytes(b"hello, stor3")

    assert store.find(HELLO_DIGEST) is None
    assert list((store.root / "sha256" / HELLO_DIGEST[:2]).iterdir()) == []
    assert [p.read_bytes() for p in (store.root / "quarantine").iterdir()] == [b"hello, stor3"]


def test_bytes_of_the_wrong_size_leave_nothing(store: Store) -> None:
    with (
        pytest.raises(DigestMismatchError, match="size of the bytes is 5, expected 12"),
        store.receiving(HELLO_DIGEST, 12) as incoming,
    ):
        incoming.path.write_bytes(HELLO[:5])

    assert [p for p in store.root.rglob("*") if p.is_file()] == []


def test_a_writer_that_lies_about_the_size_is_found_out(store: Store) -> None:
    def lie() -> None:
        with store.receiving(HELLO_DIGEST, 12) as incoming:
            incoming.path.write_bytes(HELLO[:5])
            incoming.commit(hashed=HELLO_DIGEST)

    with pytest.raises(DigestMismatchError):
        lie()
    assert store.find(HELLO_DIGEST) is None


def test_an_error_in_the_block_leaves_nothing(store: Store) -> None:
    with pytest.raises(ConnectionError):
        break_off(store, ConnectionError("gone"), notes=False)
    assert [p for p in store.root.rglob("*") if p.is_file()] == []


def test_an_unknown_digest_is_learned_from_the_bytes(store: Store) -> None:
    assert put(store, HELLO) == HELLO_DIGEST
    assert store.find(HELLO_DIGEST) is not None


def test_add_copies_a_file_and_leaves_it(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "m.onnx"
    source.write_bytes(HELLO)
    blob = store.add(source)
    assert (blob.digest, blob.size) == (HELLO_DIGEST, 12)
    assert blob.path.read_bytes() == source.read_bytes() == HELLO
    source.write_bytes(b"other")
    assert blob.path.read_bytes() == HELLO


def test_add_refuses_a_file_of_another_digest(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "m.onnx"
    source.write_bytes(b"something else")
    with pytest.raises(DigestMismatchError):
        store.add(source, HELLO_DIGEST)
    assert store.find(HELLO_DIGEST) is None


def test_a_digest_in_upper_case_is_the_same(store: Store) -> None:
    put(store, HELLO)
    assert store.find(HELLO_DIGEST.upper()) is not None


@pytest.mark.parametrize("text", ["", "ab", "../../etc/passwd", "g" * 64, HELLO_DIGEST + "\n"])
def test_what_is_no_digest_is_refused(store: Store, text: str) -> None:
    with pytest.raises(UsageError):
        store.find(text)


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [0.0, 0.1])
def test_a_flipped_bit_is_found_although_size_and_mtime_are_kept(store: Store, wait: float) -> None:
    digest = put(store, HELLO)
    time.sleep(wait)
    path = store.find(digest)
    assert path is not None
    damage(path)

    assert store.find(digest) is None
    assert Store(store.root).find(digest) is None
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_a_truncated_blob_is_found_by_another_process(store: Store) -> None:
    digest = put(store, HELLO)
    path = store.need(digest)
    path.chmod(0o644)
    os.truncate(path, 4)
    assert Store(store.root).find(digest) is None


def test_a_damaged_blob_can_be_fetched_again(store: Store) -> None:
    digest = put(store, HELLO)
    damage(store.need(digest))
    assert store.find(digest) is None
    put(store, HELLO)
    assert store.need(digest).read_bytes() == HELLO


def test_a_symlink_in_place_of_a_blob_is_not_followed(store: Store, tmp_path: Path) -> None:
    path = store.need(put(store, HELLO))
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert Store(store.root).find(HELLO_DIGEST) is None
    assert elsewhere.read_bytes() == HELLO


def test_a_warm_hit_does_not_read_the_blob_again(store: Store) -> None:
    data = bytes(64 << 20)
    digest = put(store, data)
    time.sleep(0.1)
    store.find(digest)  # hashes, should the file have been too young for the memo

    def seconds(number: int) -> float:
        """The best of five, because this machine may be busy with other work."""
        return min(timeit.repeat(lambda: other.find(digest), number=number, repeat=5)) / number

    first = min(timeit.repeat(lambda: Store(store.root).find(digest), number=1, repeat=5))
    other = Store(store.root)
    assert first < 0.005  # reading 64 MiB takes 30 ms and more
    assert seconds(100) < 0.0005


def test_a_file_that_is_younger_than_the_clocks_tick_gets_no_memo(tmp_path: Path) -> None:
    """Its next write might leave every timestamp as it is, on kernels with coarse clocks."""
    memo, path = Memo(tmp_path / "memo"), tmp_path / "file"
    path.write_bytes(HELLO)
    memo.learn("young", path.stat())
    assert not memo.trusts("young", path.stat())

    os.utime(path, (time.time() - 1, time.time() - 1))
    memo.learn("settled", path.stat())
    assert memo.trusts("settled", path.stat())
    assert Memo(tmp_path / "memo").trusts("settled", path.stat())


# --- resume ---------------------------------------------------------------------------------------


def test_a_writer_that_left_notes_is_continued_by_the_next(store: Store) -> None:
    with pytest.raises(ConnectionError):
        break_off(store, ConnectionError("gone"), notes=True)

    with store.receiving(HELLO_DIGEST, 12) as incoming:
        assert incoming.path.read_bytes() == HELLO[:5]
        assert incoming.path.with_name(incoming.path.name + ".json").exists()
        with incoming.path.open("ab") as file:
            file.write(HELLO[5:])

    assert [p.name for p in store.need(HELLO_DIGEST).parent.iterdir()] == [HELLO_DIGEST]


def test_a_file_that_is_being_written_is_not_taken_over(store: Store) -> None:
    with store.receiving(HELLO_DIGEST, 12) as first:
        first.path.write_bytes(HELLO)
        first.path.with_name(first.path.name + ".json").write_text("{}")
        with store.receiving(HELLO_DIGEST, 12) as second:
            assert second.path != first.path
            assert second.path.stat().st_size == 0
            second.path.write_bytes(HELLO)
    assert store.need(HELLO_DIGEST).read_bytes() == HELLO


def test_the_file_of_a_stopped_process_is_not_taken_over_while_it_holds_its_lock(store: Store) -> None:
    with store.receiving(HELLO_DIGEST, 12) as stopped:
        stopped.path.write_bytes(HELLO)
        stopped.path.with_name(stopped.path.name + ".json").write_text("{}")
        os.utime(stopped.path, (time.time() - 7200, time.time() - 7200))
        with store.receiving(HELLO_DIGEST, 12) as second:
            assert second.path.stat().st_size == 0
            second.path.write_bytes(HELLO)


@pytest.mark.parametrize(
    ("owner", "seconds", "taken"),
    [
        ("this process", 0, False),
        ("this process", 7200, True),
        ("elsewhere-1-1", 0, False),
        ("elsewhere-1-1", 7200, True),
    ],
)
def test_where_locks_are_no_locks_a_file_belongs_to_its_process_while_it_grows(
    store: Store, owner: str, seconds: int, taken: bool
) -> None:
    folder = store.root / "sha256" / HELLO_DIGEST[:2]
    folder.mkdir(parents=True)
    part = folder / f"{HELLO_DIGEST}.{owner_token() if owner == 'this process' else owner}.part"
    part.write_bytes(HELLO[:5])  # and no lock on it
    part.with_name(part.name + ".json").write_text("{}")
    os.utime(part, (time.time() - seconds, time.time() - seconds))

    with store.receiving(HELLO_DIGEST, 12) as incoming:
        assert incoming.path.read_bytes() == (HELLO[:5] if taken else b"")
        incoming.path.write_bytes(HELLO)
    assert part.exists() is not taken


# --- room and permissions ---------------------------------------------------------------------------


def test_room_is_checked_before_the_first_byte(store: Store) -> None:
    with (
        pytest.raises(DiskFullError, match="1,000,000,000,000,000") as caught,
        store.receiving(HELLO_DIGEST, 10**15),
    ):
        pytest.fail("the block must not run")
    assert caught.value.needed == 10**15
    assert 0 < (caught.value.available or 0) < 10**15
    assert [p for p in store.root.rglob("*") if p.is_file()] == []


def test_a_disk_that_fills_up_while_writing_is_a_disk_full_error(store: Store) -> None:
    with pytest.raises(OSError, match="No space left") as full:
        Path("/dev/full").write_bytes(b"x")
    with pytest.raises(DiskFullError, match="no room"):
        break_off(store, full.value, notes=True)
    assert [p for p in store.root.rglob("*") if p.is_file()] == []


# --- records ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["resnet50", "hf:org/repo@rev/a b.onnx", "..", "ü" * 300, "", "a%2Fb"])
def test_a_record_comes_back(store: Store, key: str) -> None:
    store.remember("pulls", key, {"files": {"m.onnx": HELLO_DIGEST}, "n": [1, None, "é"]})
    other = Store(store.root)
    assert other.recall("pulls", key) == {"files": {"m.onnx": HELLO_DIGEST}, "n": [1, None, "é"]}
    assert [k for k, _ in other.records("pulls")] == [key]
    assert all(
        p.is_relative_to(store.root / "records" / "pulls") for p in (store.root / "records").rglob("*.json")
    )


def test_the_last_record_wins_and_can_be_forgotten(store: Store) -> None:
    store.remember("pulls", "m", 1)
    store.remember("pulls", "m", 2)
    assert store.recall("pulls", "m") == 2
    store.forget("pulls", "m")
    assert store.recall("pulls", "m") is None


def test_a_record_that_is_no_json_goes_to_quarantine(store: Store) -> None:
    store.remember("pulls", "m", 1)
    (store.root / "records/pulls/m.json").write_text('{"key": "m", "va')
    assert store.recall("pulls", "m") is None
    assert len(list((store.root / "quarantine").iterdir())) == 1
    assert list(store.records("pulls")) == []


def test_records_are_readable_json(store: Store) -> None:
    store.remember("pulls", "m", {"a": 1})
    assert json.loads((store.root / "records/pulls/m.json").read_text()) == {"key": "m", "value": {"a": 1}}


# --- where it lies ----------------------------------------------------------------------------------


def test_the_argument_wins_over_zoo_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "env"))
    assert Store.open(tmp_path / "argument").root == tmp_path / "argument"
    assert Store.open().root == tmp_path / "env"


def test_without_settings_the_users_cache_folder_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ZOO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store.open().root == tmp_path / "zoo"


def test_errors_of_the_disk_name_the_path_and_the_cause() -> None:
    from zoo.store.disk import store_error

    error = store_error(OSError(errno.EROFS, "Read-only file system", "/cache/x"), Path("/cache"))
    assert type(error) is StoreError
    assert "/cache/x" in str(error)
    assert "ZOO_CACHE" in (error.hint or "")
