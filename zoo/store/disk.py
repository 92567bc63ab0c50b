"""File-system work the store relies on: durable writes, reflinks, room, and errors with a cause."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DiskFullError, StoreError

if TYPE_CHECKING:
    from io import BufferedReader, BufferedWriter

CHUNK = 1 << 20
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
READ_ONLY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

_FICLONE = 0x40049409  # linux/fs.h; fcntl has the name from Python 3.12 on
_NO_REFLINK = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ETXTBSY}
)


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into the `StoreError` that says what to do about `path`."""
    try:
        yield
    except OSError as error:
        raise store_error(error, path) from error


def store_error(error: OSError, path: Path) -> StoreError:
    """The `StoreError` for an OSError met at `path`: full, not permitted, or other."""
    if error.errno in FULL:
        return disk_full(path, None)
    if error.errno in READ_ONLY:
        return StoreError(
            f"the store cannot be used at {error.filename or path}: {error.strerror}",
            hint="Set ZOO_CACHE (or --cache) to a folder you may write to; a read-only store can serve"
            " below it as a layer: ZOO_CACHE_LAYERS.",
        )
    return StoreError(f"the store failed at {error.filename or path}: {error.strerror or error}")


def disk_full(path: Path, needed: int | None) -> DiskFullError:
    """The error for a file system without room for `needed` more bytes."""
    folder = existing(path)
    available = _available(folder)
    wanted = "more" if needed is None else f"{needed:,} bytes"
    error = DiskFullError(
        f"no room for {wanted} at {folder}: {available:,} bytes are free (or a quota is used up)",
        hint="Free space, run `zoo cache prune`, or set ZOO_CACHE to another disk.",
    )
    error.needed, error.available = needed, available
    return error


def require_room(path: Path, needed: int) -> None:
    """Raise `DiskFullError` unless the file system of `path` has `needed` bytes free."""
    if needed > _available(existing(path)):
        raise disk_full(path, needed)


def _available(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def existing(path: Path) -> Path:
    """`path`, or its nearest parent that exists."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), Path("/"))


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents so that they outlive a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace `path` by `data`; a reader sees the old bytes or the new ones, never a mixture."""
    make_folder(path.parent)
    draft = path.with_name(f"{path.name}.{owner_token()}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def digest_of(file: BufferedReader) -> str:
    """The sha256 of an open file from its current position on."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def reflink(source: BufferedReader, target: BufferedWriter) -> bool:
    """Share the blocks of `source` with the empty `target`; False where the file system cannot."""
    import fcntl

    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError as error:
        if error.errno in _NO_REFLINK:
            return False
        raise
    return True


def clone(source: BufferedReader, target: BufferedWriter) -> str:
    """Fill the empty `target` with `source`, sharing blocks if possible; the sha256 of its bytes."""
    if reflink(source, target):
        return digest_of(source)
    sha256 = hashlib.sha256()
    while chunk := source.read(CHUNK):
        sha256.update(chunk)
        target.write(chunk)
    target.flush()
    return sha256.hexdigest()


# --- whose temporary file is it? ----------------------------------------------------------------

_serial = iter(range(1, 1 << 62))


def owner_token() -> str:
    """``<host>-<pid>-<n>``: no two writers, threads or hosts share one."""
    host = "".join(letter if letter.isalnum() else "_" for letter in os.uname().nodename)[:40]
    return f"{host}-{os.getpid()}-{next(_serial)}"


def owner_is_gone(token: str) -> bool:
    """Whether `token` names a process of this host that has ended."""
    host, pid, _ = ([*token.rsplit("-", 2), "", ""])[:3]
    if host != owner_token().rsplit("-", 2)[0] or not pid.isdigit():
        return False
    with suppress(PermissionError):  # it lives, and belongs to another user
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
    return False
