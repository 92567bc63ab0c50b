"""Readable names for blobs: ``models/<name>/<hash12>/<relative path>``.

onnx ≥ 1.21 refuses external data behind a hard link or a symlink, and ONNX Runtime refuses a
symlinked data file. So only a model of one file is a link; several files are real files that share
blocks with their blobs where the file system can (reflink), and copies elsewhere.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from zoo.errors import CorruptBlobError
from zoo.store.disk import clone, digest_of, make_folder, owner_token, require_room, sync_folder
from zoo.store.layout import Layout
from zoo.store.memo import Memo
from zoo.store.quarantine import DAMAGED, quarantine

BlobOf = Callable[[str], Path]


def is_intact(folder: Path, files: Mapping[str, str], blob_of: BlobOf, memo: Memo) -> bool:
    """Whether every file of a model folder is there and hashes to its digest."""
    return all(_is_right(folder, path, digest, blob_of, memo) for path, digest in files.items())


def _is_right(folder: Path, path: str, digest: str, blob_of: BlobOf, memo: Memo) -> bool:
    target = folder / path
    try:
        if target.is_symlink():
            return os.path.samestat(target.stat(), blob_of(digest).stat())
        return file_hashes_to(target, digest, memo, memo_key(folder, path))
    except (FileNotFoundError, NotADirectoryError):
        return False


def file_hashes_to(path: Path, digest: str, memo: Memo, key: str) -> bool:
    """Whether the file hashes to `digest`, by the memo or by reading it. Raises OSError."""
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        if memo.trusts(key, before):
            return True
        if digest_of(file) != digest:
            return False
        after = os.fstat(file.fileno())
    if (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns):
        memo.learn(key, after)
    return True


def record_key(folder: Path) -> str:
    """The key of the record that says which blobs `folder` shows."""
    return f"{folder.parent.name}/{folder.name}"


def memo_key(folder: Path, path: str) -> str:
    """The memo's key for a file of a model folder."""
    return hashlib.sha256(f"{record_key(folder)}/{path}".encode()).hexdigest()


def build(layout: Layout, folder: Path, files: Mapping[str, str], blob_of: BlobOf, memo: Memo) -> None:
    """Fill a draft beside `folder` and rename it; a damaged folder there goes to quarantine.

    Raises `CorruptBlobError` when a blob was read with another digest than its name.
    """
    blobs = {path: blob_of(digest) for path, digest in files.items()}
    make_folder(folder.parent)
    draft = folder.with_name(f".{folder.name}.{owner_token()}.tmp")
    try:
        _fill(layout, draft, blobs, files)
        while not _installed(draft, folder):
            # Another process may have built it meanwhile; what is wrong makes room.
            if is_intact(folder, files, blob_of, memo):
                break
            quarantine(layout, folder, folder.name, DAMAGED)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    sync_folder(folder.parent)


def _fill(layout: Layout, draft: Path, blobs: Mapping[str, Path], files: Mapping[str, str]) -> None:
    if len(blobs) > 1:
        require_room(draft, sum(blob.stat().st_size for blob in blobs.values()))
    for path, blob in blobs.items():
        target = draft / path
        make_folder(target.parent)
        if len(blobs) == 1:
            target.symlink_to(_link_text(layout, blob, target))
        else:
            _copy(blob, target, files[path])


def _link_text(layout: Layout, blob: Path, target: Path) -> str:
    """Relative inside one store, so that it can be moved; absolute into another layer."""
    if blob.is_relative_to(layout.root):
        return os.path.relpath(blob, target.parent)
    return str(blob)


def _copy(blob: Path, target: Path, digest: str) -> None:
    with blob.open("rb") as source, target.open("xb") as file:
        actual = clone(source, file)
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
    if actual != digest:
        raise CorruptBlobError(
            f"the blob {blob} now hashes to {actual}",
            hint="`zoo cache repair` moves it to quarantine; then pull again.",
        )


def _installed(draft: Path, folder: Path) -> bool:
    try:
        draft.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True
