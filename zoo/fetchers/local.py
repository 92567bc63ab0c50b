"""``file:`` sources: a path on this machine or a mounted share."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from zoo.transfer.errors import DeniedError, NotFoundError, RefusedAddressError
from zoo.transfer.local import copy_file

if TYPE_CHECKING:
    from zoo.interfaces import Progress
    from zoo.records import FileSpec


class LocalFetcher:
    """A copy of a local file, hashed while it is made."""

    scheme: ClassVar[str] = "file"

    def fetch(self, source: str, file: FileSpec, destination: Path, progress: Progress) -> None:
        """Copy the file of `source` to `destination`. Raises a `SourceError` that names the cause."""
        path = local_path(source)
        try:
            copy_file(path, destination, file, progress)
        except OSError as error:
            if error.filename == str(path) or error.errno == errno.ENOENT:
                kind = DeniedError if isinstance(error, PermissionError) else NotFoundError
                raise kind(f"{path}: {error.strerror}") from error
            raise


def local_path(source: str) -> Path:
    """The path of ``file:///abs``, ``file:rel`` or ``file://localhost/abs``.

    Raises `RefusedAddressError` for another host.

    >>> str(local_path("file:///tmp/a%20b.onnx"))
    '/tmp/a b.onnx'
    """
    parts = urlsplit(source)
    if parts.netloc not in ("", "localhost"):
        raise RefusedAddressError(f"{source}: only files of this machine (file:///path)")
    return Path(unquote(parts.path)).expanduser()
