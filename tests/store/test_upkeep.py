"""Listing, verifying, mending, pruning, and stores in layers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.store.test_store import HELLO, HELLO_DIGEST, break_off, damage, put
from zoo.store import Store

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def pulled(store: Store, name: str, *contents: bytes) -> dict[str, str]:
    """A model as a pull leaves it: blobs, a folder and a record."""
    files = {f"{n}.bin": put(store, data) for n, data in enumerate(contents)}
    store.materialise(files, name)
    store.remember("pulls", f"key of {name}", {"ref": name, "files": files})
    return files


def age(store: Store, seconds: float) -> None:
    """Let everything in the store seem last used `seconds` ago, as far as a clock can be set back."""
    then = time.time() - seconds
    for path in (*store.root.rglob("records/*/*.json"), *store.root.rglob("memo/*/*")):
        if path.is_file():
            os.utime(path, (then, then))


def kinds(store: Store, **options: float | int | bool | None) -> list[tuple[str, str]]:
    return [(one.what, one.name) for one in store.prune(grace=0, **options).removed]  # type: ignore[arg-type]


# --- list -------------------------------------------------------------------------------------------


def test_the_list_shows_blobs_with_who_needs_them(store: Store) -> None:
    files = pulled(store, "m", b"one", b"two!")
    loose = put(store, b"loose")
    found = store.list()

    users = {blob.digest: blob.users for blob in found.blobs}
    assert users[loose] == ()
    assert users[files["0.bin"]][1:] == ("pulls/m",)
    assert users[files["0.bin"]][0].startswith("models/m/")
    assert {blob.size for blob in found.blobs} == {3, 4, 5}
    (model,) = found.models
    assert (model.files, model.size) == (files, 7)
    assert found.size == 3 + 4 + 5 + 7


def test_the_list_of_an_empty_store_is_empty(store: Store) -> None:
    found = store.list()
    assert (found.blobs, found.models, found.leftovers, found.quarantined, found.size) == ((), (), (), (), 0)
    assert not store.root.exists()


def test_leftovers_and_quarantine_are_listed(store: Store) -> None:
    with pytest.raises(ConnectionError):
        break_off(store, ConnectionError(), notes=True)
    damage(store.need(put(store, b"x")))
    time.sleep(0.06)
    assert store.find(store.list().blobs[0].digest) is None

    found = store.list()
    assert [(one.size, one.active, one.resumable) for one in found.leftovers] == [
        (5, False, True),
        (2, False, True),
    ]
    assert [(one.reason, one.size) for one in found.quarantined] == [("damaged", 1)]


# --- verify and repair ------------------------------------------------------------------------------


def test_verify_finds_a_bit_that_no_stat_shows(store: Store) -> None:
    """As a dying disk would flip it: the memo vouches for the file, only hashing finds it."""
    files = pulled(store, "m", b"a" * 100)
    digest = files["0.bin"]
    time.sleep(0.06)
    path = store.need(digest)
    damage(path)
    stat = path.stat()
    memo = store.root / "memo" / digest[:2] / digest
    memo.parent.mkdir(parents=True, exist_ok=True)
    memo.write_text(f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}")
    assert Store(store.root).find(digest) == path  # the stat is trusted

    (found,) = Store(store.root).verify().damaged
    assert (found.path, found.digest, found.reason) == (path, digest, "wrong digest")
    assert "pulls/m" in found.users
    assert path.exists()
    assert Store(store.root).find(digest) is None  # and not any more


def test_verify_names_what_records_need_and_is_not_there(store: Store) -> None:
    files = pulled(store, "m", b"one", b"two")
    store.need(files["1.bin"]).unlink()
    result = store.verify()
    assert not result.passed
    assert [(d.digest, d.reason) for d in result.damaged] == [(files["1.bin"], "missing")]


def test_verify_of_a_good_store_passes_and_counts(store: Store) -> None:
    pulled(store, "m", b"one", b"two!")
    seen: list[tuple[int, int | None]] = []
    result = store.verify(progress=lambda done, total: seen.append((done, total)))
    assert result.passed
    assert (result.files, result.size) == (4, 14)
    assert seen[-1] == (14, 14)


def test_repair_rebuilds_a_model_from_good_blobs(store: Store) -> None:
    files = pulled(store, "m", b"one", b"two")
    folder = store.materialise(files, "m")
    damage(folder / "1.bin")
    result = store.repair()
    assert result.rebuilt == (folder,)
    assert result.lost == ()
    assert len(result.quarantined) == 1
    assert (folder / "1.bin").read_bytes() == b"two"
    assert store.verify().passed


def test_repair_says_which_models_must_be_pulled_again(store: Store) -> None:
    files = pulled(store, "m", b"one")
    pulled(store, "good", b"fine")
    damage(store.need(files["0.bin"]))
    result = store.repair()
    assert "pulls/m" in result.lost
    assert not any("good" in name for name in result.lost)
    assert store.find(files["0.bin"]) is None
    put(store, b"one")
    assert store.verify().passed


# --- prune ------------------------------------------------------------------------------------------


def test_prune_removes_what_no_record_names_and_keeps_the_rest(store: Store) -> None:
    files = pulled(store, "m", b"one", b"two")
    named = put(store, b"named deep in a record")
    store.remember("anything", "k", [{"x": {named: 1}}])
    loose = put(store, b"loose")

    pruned = store.prune(grace=0)
    assert [(one.what, one.name, one.size) for one in pruned.removed] == [("blob", loose, 5)]
    assert pruned.freed == 5
    assert store.find(loose) is None
    assert all(store.find(digest) for digest in (*files.values(), named))
    assert store.verify().passed


def test_prune_leaves_what_is_younger_than_the_grace(store: Store) -> None:
    put(store, b"loose, and about to be recorded")
    assert store.prune().removed == ()
    assert store.prune(older=0, max_size=0).removed == ()
    assert store.prune(dry_run=True).removed == ()


def test_prune_by_age_takes_whole_models_and_spares_shared_blobs(store: Store) -> None:
    old = pulled(store, "old", b"shared", b"only old")
    age(store, 40 * DAY)
    new = pulled(store, "new", b"shared", b"only new")

    removed = kinds(store, older=30 * DAY)
    assert ("record", "pulls/old") in removed
    assert [what for what, _ in removed].count("model") == 1
    assert ("blob", old["1.bin"]) in removed
    assert store.find(old["1.bin"]) is None
    assert store.recall("pulls", "key of old") is None
    assert all(store.find(digest) for digest in new.values())
    assert store.recall("pulls", "key of new") is not None
    assert store.verify().passed
    assert kinds(store, older=30 * DAY) == []


def test_prune_by_size_takes_the_least_recently_used_first(store: Store) -> None:
    for n, name in enumerate(("a", "b", "c")):
        pulled(store, name, bytes([n]) * 1000)
        age(store, 3600)
    for n, name in enumerate(("b", "a", "c")):  # used in this order
        store.recall("pulls", f"key of {name}")
        store.materialise({"0.bin": put(store, bytes(["abc".index(name)]) * 1000)}, name)
        for path in (store.root / "records").rglob("*.json"):
            if f'"{name}"' in path.read_text() or path.name.startswith(f"{name}%2F"):
                os.utime(path, (time.time() - 3000 + n, time.time() - 3000 + n))

    pruned = store.prune(max_size=2000, grace=0)
    assert pruned.after == 2000
    assert store.recall("pulls", "key of b") is None
    assert store.recall("pulls", "key of a") is not None
    assert store.recall("pulls", "key of c") is not None
    assert store.list().size == 2000
    assert store.verify().passed


def test_prune_to_nothing_empties_the_store(store: Store) -> None:
    pulled(store, "m", b"one", b"two")
    put(store, b"loose")
    pruned = store.prune(max_size=0, grace=0)
    assert pruned.after == 0
    assert store.list().size == 0
    assert [p for p in store.root.rglob("*") if p.is_file() and "locks" not in p.parts] == []


@pytest.mark.parametrize("kind", ["sources", "trusted"])
def test_what_a_source_gave_first_is_never_forgotten_and_keeps_no_blob(store: Store, kind: str) -> None:
    digest = put(store, b"given by a source")
    store.remember(kind, "https://x.test/m.onnx", {"sha256": digest})
    age(store, 400 * DAY)
    assert store.prune(older=DAY, max_size=0, grace=0).freed == 17
    assert store.find(digest) is None
    assert store.recall(kind, "https://x.test/m.onnx") == {"sha256": digest}


def test_a_model_whose_record_was_lost_gets_it_back_when_it_is_used(store: Store) -> None:
    files = pulled(store, "m", b"one", b"two")
    folder = store.materialise(files, "m")
    inode = folder.stat().st_ino
    for path in (store.root / "records" / "models").iterdir():
        path.unlink()
    assert store.materialise(files, "m") == folder
    assert folder.stat().st_ino == inode
    assert [one.what for one in store.prune(grace=0).removed] == []


def test_a_dry_run_removes_nothing(store: Store) -> None:
    pulled(store, "m", b"one")
    dry = store.prune(max_size=0, grace=0, dry_run=True)
    assert store.verify().files == 1
    assert store.recall("pulls", "key of m") is not None
    real = store.prune(max_size=0, grace=0)
    assert [one.path for one in real.removed if one.what != "lock"] == [
        one.path for one in dry.removed if one.what != "lock"
    ]


def test_what_can_be_resumed_is_kept_for_the_grace(store: Store) -> None:
    with pytest.raises(ConnectionError):
        break_off(store, ConnectionError(), notes=True)
    assert store.prune(grace=3600).removed == ()
    assert [one.what for one in store.prune(grace=0).removed] == ["leftover", "leftover"]
    with store.receiving(HELLO_DIGEST, 12) as incoming:
        assert incoming.path.stat().st_size == 0
        incoming.path.write_bytes(HELLO)


def test_prune_does_not_touch_a_file_that_is_being_written(store: Store) -> None:
    with store.receiving(HELLO_DIGEST, 12) as incoming:
        incoming.path.write_bytes(HELLO)
        assert [one for one in store.prune(grace=0, max_size=0).removed if one.what == "leftover"] == []
    assert store.find(HELLO_DIGEST) is not None


def test_a_prune_waits_for_the_prune_of_another_process(store: Store) -> None:
    put(store, b"loose")
    code = (
        "import sys, pathlib, zoo.store\n"
        "with zoo.store.Store(pathlib.Path(sys.argv[1])).lock('prune'):\n"
        "    print('held', flush=True); sys.stdin.readline()"
    )
    command = [sys.executable, "-c", code, str(store.root)]
    done: list[int] = []
    pruning = threading.Thread(target=lambda: done.append(store.prune(grace=0).freed))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        pruning.start()
        pruning.join(0.3)
        assert pruning.is_alive()
        other.stdin.write("\n")
    pruning.join(10)
    assert done == [5]


# --- layers -----------------------------------------------------------------------------------------


def layered(tmp_path: Path) -> tuple[Store, Store]:
    lower = Store(tmp_path / "team")
    return lower, Store(tmp_path / "mine", (lower.root,))


def test_a_layer_serves_blobs_records_and_models_and_nothing_is_copied(tmp_path: Path) -> None:
    lower, store = layered(tmp_path)
    files = pulled(lower, "m", b"one", b"two")
    before = sorted(lower.root.rglob("*"))

    assert store.need(files["0.bin"]).is_relative_to(lower.root)
    assert store.recall("pulls", "key of m") == {"ref": "m", "files": files}
    assert store.materialise(files, "m").is_relative_to(lower.root)
    assert sorted(lower.root.rglob("*")) == before
    assert not (store.root / "sha256").exists()


def test_writes_go_to_the_upper_store(tmp_path: Path) -> None:
    lower, store = layered(tmp_path)
    digest = put(store, b"new")
    store.remember("pulls", "m", 2)
    assert store.need(digest).is_relative_to(store.root)
    assert not lower.root.exists()


def test_the_upper_store_wins(tmp_path: Path) -> None:
    lower, store = layered(tmp_path)
    lower.remember("pulls", "m", "lower")
    lower.remember("pulls", "n", "lower")
    store.remember("pulls", "m", "upper")
    assert store.recall("pulls", "m") == "upper"
    assert dict(store.records("pulls")) == {"m": "upper", "n": "lower"}


def test_a_damaged_blob_of_a_layer_is_passed_over_and_left_alone(tmp_path: Path) -> None:
    lower, store = layered(tmp_path)
    path = lower.need(put(lower, b"one"))
    damage(path)
    assert store.find(path.name) is None
    assert path.exists()
    put(store, b"one")
    assert store.need(path.name).is_relative_to(store.root)


def test_a_model_of_one_file_can_link_into_a_layer(tmp_path: Path) -> None:
    lower, store = layered(tmp_path)
    digest = put(lower, b"one")
    folder = store.materialise({"m.onnx": digest}, "m")
    assert folder.is_relative_to(store.root)
    assert (folder / "m.onnx").read_bytes() == b"one"
    assert store.verify().passed


def test_layers_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lower = Store(tmp_path / "b")
    digest = put(lower, b"one")
    monkeypatch.setenv("ZOO_CACHE_LAYERS", os.pathsep.join(map(str, (tmp_path / "a", tmp_path / "b"))))
    store = Store.open(tmp_path / "mine")
    assert store.layers == (tmp_path / "a", tmp_path / "b")
    assert store.need(digest).is_relative_to(lower.root)
