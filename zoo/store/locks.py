"""Locks that save work: two processes do not download or convert the same thing twice.

``flock`` through the standard library: the kernel frees it when its holder dies, and it needs no
package. Nothing's correctness depends on it, so where a file system has no locks, or the store is
read-only, the work goes on without.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import StoreError
from zoo.store.disk import FULL, READ_ONLY, make_folder

log = logging.getLogger(__name__)

_SAY_AGAIN_AFTER = 10.0
_LONGEST_PAUSE = 0.5
_NO_LOCKS = READ_ONLY | FULL | {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


@contextmanager
def locked(path: Path, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock file `path`; log who has it while waiting, at most `timeout` seconds.

    Raises `StoreError` when the time is over. Not reentrant: also a second `locked` of the same
    thread waits.
    """
    handle = _acquire(path, timeout)
    try:
        yield
    finally:
        if handle is not None:
            _release(handle)


def remove_if_free(path: Path) -> bool:
    """Remove a lock file that nobody holds; whether it was removed."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        free = _try(handle) and _is_still(path, handle)
        if free:
            path.unlink()
        return free
    finally:
        os.close(handle)


def _acquire(path: Path, timeout: float | None) -> int | None:
    start = said = time.monotonic()
    pause, waited = 0.01, False
    while True:
        try:
            handle = _attempt(path)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            log.debug("working without the lock %s: %s", path, error)
            return None
        if handle is not None:
            return handle
        now = time.monotonic()
        if timeout is not None and now - start >= timeout:
            raise _timed_out(path, now - start)
        if not waited or now - said >= _SAY_AGAIN_AFTER:
            log.info("waiting for %s, which %s holds (%.0f s so far)", path.stem, holder(path), now - start)
            said, waited = now, True
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 1.5)


def _attempt(path: Path) -> int | None:
    """The handle of the lock, or None while another holds it."""
    make_folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if _try(handle) and _is_still(path, handle):
            _write_holder(handle)
            return handle
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, handle: int) -> bool:
    """Whether `path` still names the locked file: prune removes lock files that nobody holds."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _write_holder(handle: int) -> None:
    text = json.dumps({"pid": os.getpid(), "host": os.uname().nodename, "since": time.time()})
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)


def holder(path: Path) -> str:
    """Who holds the lock file `path`, for people."""
    try:
        noted = json.loads(path.read_bytes())
        return f"process {noted['pid']} on {noted['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _timed_out(path: Path, waited: float) -> StoreError:
    return StoreError(
        f"waited {waited:.1f} s for {path.stem}, which {holder(path)} still holds",
        hint="Wait for it or end it; the lock is freed when that process ends.",
    )


def _release(handle: int) -> None:
    os.ftruncate(handle, 0)
    # Closing is not enough: a forked child may have inherited the handle.
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)
