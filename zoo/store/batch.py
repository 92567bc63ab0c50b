"""Many small blobs at once: each written beside its name, all made durable by one flush, then named.

One fsync for each of two hundred files would cost more than fetching them. The order is that of a
single blob: bytes durable, then names, then folders durable.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from zoo.errors import DigestMismatchError
from zoo.store.disk import existing, owner_token, require_room, storing, sync_folder
from zoo.store.incoming import Blob, part_path, sweep
from zoo.store.layout import Layout, checked_digest

FEW = 8
"""Up to so many files are flushed one by one; `syncfs` also waits for what other programs wrote."""


class Batch:
    """Takes blobs from several threads; they have their names when the block ends, however it ends."""

    def __init__(self, layout: Layout) -> None:
        self.blobs: dict[str, Blob] = {}
        """What the batch stored, by digest; complete after the block."""
        self._layout = layout
        self._token = owner_token()
        self._written: dict[str, tuple[Path, int]] = {}
        self._folders: set[Path] = set()
        self._lock = threading.Lock()

    def put(self, digest: str, data: bytes | bytearray | memoryview) -> None:
        """Take the bytes of `digest` in. Raises `DigestMismatchError` or `StoreError`."""
        digest = checked_digest(digest)
        actual = hashlib.sha256(data, usedforsecurity=False).hexdigest()
        if actual != digest:
            raise DigestMismatchError(
                f"the sha256 of the bytes is {actual}, expected {digest}",
                hint="They were damaged on the way, or the publisher changed the file.",
            )
        with storing(self._layout.root):
            path = self._written_at(part_path(self._layout, digest, self._token), data)
        with self._lock:
            self._written[digest] = path, len(data)

    def _written_at(self, path: Path, data: bytes | bytearray | memoryview) -> Path:
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while len(view):
                view = view[os.write(handle, view) :]
            os.fchmod(handle, 0o444)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
        return path

    def commit(self) -> None:
        """Make everything durable and give it its name. Raises `StoreError`."""
        with storing(self._layout.root):
            _flush([path for path, _ in self._written.values()])
            for digest, (path, size) in list(self._written.items()):
                final = self._layout.blob(digest)
                path.replace(final)
                self.blobs[digest] = Blob(final, digest, size)
                del self._written[digest]
            if self.blobs:
                self._flush_names()

    def _flush_names(self) -> None:
        # New folders have new names in theirs, up to the one that the root lies in.
        parents = (self._layout.blobs, self._layout.root, self._layout.root.parent)
        _flush_folders([*{blob.path.parent for blob in self.blobs.values()}, *parents])

    def remove(self) -> None:
        """Leave nothing that has no name yet."""
        for path, _ in self._written.values():
            with suppress(OSError):  # the error that led here is the one to be told
                path.unlink(missing_ok=True)


@contextmanager
def batch(layout: Layout, size: int) -> Iterator[Batch]:
    """A batch of `size` bytes in all. Raises `DiskFullError` before the block where they do not fit."""
    with storing(layout.root):
        require_room(existing(layout.blobs), size)
        for folder in layout.blobs.glob("??"):
            sweep(folder)
    made = Batch(layout)
    try:
        try:
            yield made
        finally:
            made.commit()  # each of them is right, whatever became of the others
    except BaseException:
        made.remove()
        raise


def _flush(paths: Sequence[Path]) -> None:
    if len(paths) > FEW and _sync_file_system(paths[0]):
        return
    for path in paths:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _flush_folders(folders: Sequence[Path]) -> None:
    if len(folders) > FEW and _sync_file_system(folders[0]):
        return
    for folder in folders:
        sync_folder(folder)


def _sync_file_system(path: Path) -> bool:
    """Flush the file system of `path` at once; False where the system has no `syncfs` (Linux has)."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if call(handle):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(handle)
    return True
