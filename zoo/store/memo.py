"""Which files were seen to hash to their digest, so that a warm hit need not hash again.

A file counts as unchanged while its size, mtime, ctime and inode are those of the moment when it
was hashed. ctime is among them because no user program can set it back.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from zoo.store.disk import write_atomically

log = logging.getLogger(__name__)

_CLOCK_TICK_NS = 12_000_000  # Linux stamps files at its ticks, the slowest kernels at 100 Hz
_TOUCH_EVERY = 600.0  # seconds; the least recently used blob is known to this precision

Identity = tuple[int, int, int, int]


class Memo:
    """The memo of one writable store: a small file for each key, and a copy in this process.

    The modification time of a memo file is when its key was last used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Identity] = {}
        self._touched: dict[str, float] = {}

    def trusts(self, key: str, stat: os.stat_result) -> bool:
        """Whether the file with this stat was hashed before and found right; notes the use."""
        identity = _identity(stat)
        if self._known.get(key) != identity:
            if self._read(key) != identity:
                return False
            self._known[key] = identity
        self._touch(key)
        return True

    def learn(self, key: str, stat: os.stat_result, *, worth: float = 0.0) -> None:
        """Note that the file with this stat hashed to its digest; wait at most `worth` seconds for that."""
        # A write within the same tick of the file system's clock would leave mtime as it is
        # (git calls this "racily clean"): such a young file is hashed again next time.
        tick = _CLOCK_TICK_NS if stat.st_mtime_ns % 1_000_000_000 else 2_000_000_000  # as FAT has them
        young = (stat.st_mtime_ns + tick - time.time_ns()) / 1e9
        if young > worth:
            return
        time.sleep(max(0.0, young))
        self._known[key] = _identity(stat)
        self._touched[key] = time.time()
        try:
            write_atomically(self._path(key), _text(_identity(stat)), durable=False)
        except OSError as error:  # a read-only store works without: it only hashes more often
            log.debug("no memo for %s: %s", key, error)

    def forget(self, key: str) -> None:
        """Drop what is known of `key`."""
        self._known.pop(key, None)
        self._path(key).unlink(missing_ok=True)

    def last_use(self, key: str) -> float | None:
        """When `key` was last used, in seconds since 1970, or None."""
        try:
            return self._path(key).stat().st_mtime
        except FileNotFoundError:
            return None

    def _read(self, key: str) -> Identity | None:
        try:
            size, mtime, ctime, inode = map(int, self._path(key).read_text().split())
        except (OSError, ValueError):
            return None
        return size, mtime, ctime, inode

    def _touch(self, key: str) -> None:
        now = time.time()
        if now - self._touched.get(key, 0.0) < _TOUCH_EVERY:
            return
        self._touched[key] = now
        try:
            os.utime(self._path(key))
        except OSError as error:
            log.debug("last use of %s is not noted: %s", key, error)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key


def _identity(stat: os.stat_result) -> Identity:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _text(identity: Identity) -> bytes:
    return " ".join(map(str, identity)).encode()
