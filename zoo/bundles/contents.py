"""What a bundle holds, and the digests that prove it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, Any

from zoo.errors import DigestMismatchError, UnsupportedFileError
from zoo.records import record
from zoo.store.disk import CHUNK
from zoo.store.layout import checked_path, is_digest

PULLS = "pulls"
MANIFEST = "manifest.json"
FORMAT = "zoo bundle 1"

PREFIX = b"sha256:"
COMMENT = len(PREFIX) + 64
LARGEST_MANIFEST = 64 << 20
MOST_MEMBERS = 100_000
_DEEPEST_RECORD = 50
COPY_AGAIN = "Copy the file again, or write it anew with `zoo bundle`."


@record
class Member:
    """A file in a bundle: its sha256 and its size in bytes."""

    sha256: str
    size: int

    @property
    def name(self) -> str:
        return f"blobs/{self.sha256}"


@record
class Pull:
    """A pull record: what the model is called, and its files as {relative path: sha256}."""

    key: str
    ref: str
    files: dict[str, str]
    value: dict[str, Any]


@record
class Bundle:
    """A bundle's file and what it holds.

    `seal` is the sha256 that it declares of all its other bytes. `sha256` is that of the whole
    file, as ``sha256sum`` prints it, or None where the file was not read to its end.
    """

    path: Path
    seal: str
    members: tuple[Member, ...]
    pulls: tuple[Pull, ...]
    sha256: str | None = None


@record
class Imported:
    """What an import did: models that can now be pulled offline, and blobs new in the store."""

    bundle: Bundle
    refs: tuple[str, ...]
    added: tuple[str, ...]


def pull_from(key: str, value: Any) -> Pull:
    """A pull record read with suspicion: it may come from a bundle."""
    files = value.get("files") if isinstance(value, dict) else None
    if not isinstance(files, dict) or not files or not all(map(_is_file_of_model, files.items())):
        raise UnsupportedFileError(f"the pull record {key!r} does not say which files it stands for")
    if value.get("main", next(iter(files))) not in files:
        raise UnsupportedFileError(f"the main file {value['main']!r} of {key!r} is not among its files")
    if not _is_shallow(value, _DEEPEST_RECORD):
        raise UnsupportedFileError(f"the pull record {key!r} is nested deeper than {_DEEPEST_RECORD} levels")
    for path in files:
        checked_path(path)
    return Pull(key, str(value.get("ref") or key), files, value)


def _is_file_of_model(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], str) and is_digest(item[1])


def _is_shallow(value: Any, levels: int) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(child, levels - 1) for child in children)


def seals(file: IO[bytes]) -> tuple[str, str]:
    """The sha256 of all bytes before the comment, and of all bytes."""
    left = file.seek(0, os.SEEK_END) - COMMENT
    file.seek(0)
    sha256 = hashlib.sha256()
    while left > 0 and (chunk := file.read(min(CHUNK, left))):
        sha256.update(chunk)
        left -= len(chunk)
    seal = sha256.hexdigest()
    sha256.update(file.read())
    return seal, sha256.hexdigest()


def copy(source: IO[bytes], target: IO[bytes] | None, size: int) -> str:
    """The sha256 of at most `size` + 1 bytes, written to `target` on the way."""
    sha256, left = hashlib.sha256(), size + 1
    while left > 0 and (chunk := source.read(min(CHUNK, left))):
        sha256.update(chunk)
        left -= len(chunk)
        if target is not None:
            target.write(chunk)
    return sha256.hexdigest()


def wrong(member: str, detail: str) -> DigestMismatchError:
    """The error for a member that is not what it was when it was bundled."""
    return DigestMismatchError(f"{member} is not what was bundled: {detail}", hint=COPY_AGAIN)


def no_bundle(path: Path, why: str) -> UnsupportedFileError:
    """The error for a file that no `write_bundle` wrote."""
    return UnsupportedFileError(f"{path} is not a bundle of zoo: {why}", hint="`zoo bundle` writes them.")
