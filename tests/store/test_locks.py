"""Locks save work: one at a time, freed on death, and nobody waits without knowing for whom."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from zoo.errors import StoreError
from zoo.store import Store, locks
from zoo.store.locks import remove_if_free

HOLDER = """
import sys, time
from pathlib import Path
from zoo.store import Store
with Store(Path(sys.argv[1])).lock("pull-x"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def holding(store: Store) -> subprocess.Popen[str]:
    """Another process that holds the lock ``pull-x``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_threads_hold_a_lock_one_after_the_other(store: Store) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(10):
            with Store(store.root).lock("k"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 40
    assert max(most) == 1


def test_a_waiter_says_who_holds_the_lock_and_gives_up_in_time(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    process = holding(store)
    start = time.monotonic()
    try:
        with (
            caplog.at_level(logging.INFO, "zoo.store.locks"),
            pytest.raises(StoreError, match=f"pull-x, which process {process.pid} on "),
            store.lock("pull-x", timeout=0.3),
        ):
            pytest.fail("two processes hold one lock")
    finally:
        end(process)
    assert 0.3 <= time.monotonic() - start < 2
    assert f"process {process.pid}" in caplog.text


def test_the_lock_of_a_killed_process_is_free(store: Store) -> None:
    process = holding(store)
    end(process)
    with store.lock("pull-x", timeout=1):
        pass


def test_a_stopped_process_keeps_its_lock_until_the_timeout(store: Store) -> None:
    process = holding(store)
    try:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(StoreError, match="still holds"), store.lock("pull-x", timeout=0.2):
            pytest.fail("two processes hold one lock")
    finally:
        end(process)


def test_other_keys_are_not_held_up(store: Store) -> None:
    with store.lock("a"), store.lock("b", timeout=0):
        pass


def test_an_error_in_the_block_frees_the_lock(store: Store) -> None:
    with pytest.raises(ValueError, match="x"), store.lock("a"):
        raise ValueError("x")
    with store.lock("a", timeout=0):
        pass


def test_a_lock_file_pruned_between_opening_and_locking_does_not_let_two_in(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.root / "locks" / "k.lock"
    take, calls = locks._try, []

    def take_late(handle: int) -> bool:
        calls.append(handle)
        if len(calls) == 1:
            path.unlink()
        return take(handle)

    monkeypatch.setattr(locks, "_try", take_late)
    with store.lock("k"):
        assert path.exists()
        with pytest.raises(StoreError), store.lock("k", timeout=0):
            pytest.fail("two processes hold one lock")
    assert len(calls) == 3


def test_a_lock_file_that_somebody_holds_is_not_removed(store: Store) -> None:
    path = store.root / "locks" / "k.lock"
    with store.lock("k"):
        assert remove_if_free(path) is False
        assert path.exists()
    assert remove_if_free(path) is True
    assert not path.exists()
    assert remove_if_free(path) is False
