"""Bytes on their way into the store: temporary file → size and digest equal → final name.

Each process writes a temporary file of its own: on some network file systems locks silently
succeed for everyone, and a shared one would be corrupted. A temporary file that its writer left
behind together with a sidecar (the transfer's notes on how to resume, any file named
``<temporary name>.<suffix>``) is taken over by the next writer of the same digest.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import DigestMismatchError, DiskFullError
from zoo.records import record
from zoo.store.disk import (
    FULL,
    digest_of,
    disk_full,
    make_folder,
    owner_is_gone,
    owner_token,
    require_room,
    storing,
    sync_folder,
)
from zoo.store.layout import Layout
from zoo.store.memo import Memo
from zoo.store.quarantine import REJECTED, quarantine

LEFT = "left"  # the owner of a temporary file whose writer gave up but may resume
_HASHED_A_SECOND = 2e9  # bytes; to hash a large file again would take longer than to wait a tick
UNTOUCHED_FOR = 3600.0  # seconds after which an unlocked file of another host has no writer


@record
class Blob:
    """A file of the store whose bytes hash to `digest` (sha256)."""

    path: Path
    digest: str
    size: int


class Incoming:
    """One temporary file. Write the bytes to `path`, then `commit` or leave the block."""

    def __init__(self, layout: Layout, memo: Memo, wanted: tuple[str | None, int | None], path: Path) -> None:
        self.path = path
        self.digest, self.size = wanted
        self.blob: Blob | None = None
        self._layout = layout
        self._memo = memo
        self._lock = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        lock_if_possible(self._lock)

    def commit(self, hashed: str | None = None) -> Blob:
        """Check size and digest, make the file durable and give it its final name.

        `hashed` is the sha256 that the writer itself computed over the very bytes it wrote; it
        saves reading them again. Raises `DigestMismatchError`, `DiskFullError` or `StoreError`.
        """
        if self.blob is None:
            with storing(self.path):
                self.blob = self._committed(hashed)
        return self.blob

    def _committed(self, hashed: str | None) -> Blob:
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._require("size", self.size, size)
            actual = hashed or digest_of(file)
            self._require("sha256", self.digest, actual)
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        final = self._layout.blob(actual)
        make_folder(final.parent)
        self.path.replace(final)
        sync_folder(final.parent)
        self._remove_sidecars()
        self._memo.learn(actual, final.stat(), worth=size / _HASHED_A_SECOND)
        return Blob(final, actual, size)

    def _require(self, what: str, expected: object, actual: object) -> None:
        if expected is not None and expected != actual:
            raise DigestMismatchError(
                f"the {what} of the bytes is {actual}, expected {expected}",
                hint="They were damaged on the way, or the publisher changed the file.",
            )

    def abandon(self, error: BaseException) -> None:
        """Decide what becomes of the file: quarantine, kept to be resumed, or removed."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if isinstance(error, DigestMismatchError) and self.digest and size and size == (self.size or size):
            quarantine(self._layout, self.path, self.digest, REJECTED)
            self._remove_sidecars()
        elif sidecars(self.path) and self.digest and not is_full(error):
            move_with_sidecars(self.path, part_path(self._layout, self.digest, LEFT))
        else:
            self._remove_sidecars()
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the lock that tells others that this file has a writer."""
        os.close(self._lock)

    def _remove_sidecars(self) -> None:
        for sidecar in sidecars(self.path):
            sidecar.unlink(missing_ok=True)


@contextmanager
def receiving(layout: Layout, memo: Memo, digest: str | None, size: int | None) -> Iterator[Incoming]:
    """Open a temporary file for `digest`; it is committed when the block ends without error."""
    with storing(layout.root):
        incoming = _begin(layout, memo, digest, size)
    try:
        yield incoming
        incoming.commit()
    except BaseException as error:
        incoming.abandon(error)
        if isinstance(error, OSError) and error.errno in FULL:
            raise disk_full(layout.root, size) from error
        raise
    finally:
        incoming.close()


def _begin(layout: Layout, memo: Memo, digest: str | None, size: int | None) -> Incoming:
    path = part_path(layout, digest, owner_token())
    make_folder(path.parent)
    taken = digest is not None and _take_over(layout, digest, path)
    if not taken:
        path.unlink(missing_ok=True)
    present = path.stat().st_blocks * 512 if taken else 0
    try:
        require_room(path.parent, max(0, (size or 0) - present))
        return Incoming(layout, memo, (digest, size), path)
    except BaseException as error:
        if taken and digest is not None and not is_full(error):
            move_with_sidecars(path, part_path(layout, digest, LEFT))
        raise


def part_path(layout: Layout, digest: str | None, owner: str) -> Path:
    """The temporary file of one owner, beside the blob it is to become."""
    return layout.blob(digest or "unnamed").with_name(f"{digest or 'unnamed'}.{owner}.part")


def _take_over(layout: Layout, digest: str, path: Path) -> bool:
    """Move the largest abandoned temporary file of `digest` that has a sidecar to `path`.

    What dead writers left in the folder without notes is removed: nobody can go on with it.
    """
    parts = [part for part in sweep(path.parent) if part.name.startswith(f"{digest}.")]
    for part in sorted(parts, key=_size, reverse=True):
        try:
            move_with_sidecars(part, path)
        except FileNotFoundError:  # another process took it first
            continue
        return True
    return False


def sweep(folder: Path) -> list[Path]:
    """Remove abandoned temporary files without sidecars; those that can be resumed are returned."""
    resumable = []
    for part in [path for path in _named(folder, "") if path.suffix == ".part" and is_abandoned(path)]:
        if sidecars(part):
            resumable.append(part)
        else:
            part.unlink(missing_ok=True)
    return resumable


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def is_abandoned(part: Path) -> bool:
    """Whether nobody writes `part` any more: it is unlocked and its process has ended."""
    owner = part.name.removesuffix(".part").split(".", 1)[-1]
    try:
        handle = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if not lock_if_possible(handle):
            return False
        untouched = time.time() - os.fstat(handle).st_mtime > UNTOUCHED_FOR
    finally:
        os.close(handle)
    # A free lock alone proves nothing where locks do not work, so the process must be gone too.
    return owner == LEFT or owner_is_gone(owner) or untouched


def sidecars(part: Path) -> list[Path]:
    """The files that a transfer keeps beside its temporary file."""
    return _named(part.parent, f"{part.name}.")


def _named(folder: Path, prefix: str) -> list[Path]:
    """The files whose names begin with `prefix`: `glob` would compile a pattern for each call."""
    return sorted(path for path in folder.iterdir() if path.name.startswith(prefix))


def move_with_sidecars(part: Path, target: Path) -> None:
    """Rename a temporary file with its sidecars, which go last: without them it is not resumed."""
    beside = sidecars(part)
    part.replace(target)
    for sidecar in beside:
        sidecar.replace(target.with_name(target.name + sidecar.name.removeprefix(part.name)))


def lock_if_possible(handle: int) -> bool:
    """Take the exclusive flock of an open file; False when another process has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # this file system has no locks; nothing depends on them
        return True
    return True


def is_full(error: BaseException) -> bool:
    """Whether `error` comes from a full disk: then the room matters more than the resume."""
    return isinstance(error, DiskFullError) or (isinstance(error, OSError) and error.errno in FULL)
