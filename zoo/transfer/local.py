"""A local file as a source: copied and hashed in one pass, judged like a download."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.transfer import diagnosis
from zoo.transfer.errors import TooLargeError, TruncatedError
from zoo.transfer.receipts import Received, give_receipt
from zoo.transfer.streaming import CHUNK, INLINE, Digest, HashThread, InlineHash, write_all

if TYPE_CHECKING:
    from zoo.interfaces import Progress
    from zoo.records import FileSpec


def copy_file(source: Path, destination: Path, expected: FileSpec, progress: Progress) -> Received:
    """Copy `source` to `destination`. Raises a `TransferError` if it is not `expected`, or `OSError`."""
    size = source.stat().st_size
    with source.open("rb") as file:
        wrong = diagnosis.of_head(file.read(2048), expected.path, str(source))
    if wrong is not None:
        raise wrong
    if expected.size is not None and size != expected.size:
        kind = TooLargeError if size > expected.size else TruncatedError
        raise kind(f"{source}: has {size} bytes, {expected.size} are pinned")
    digest = hashlib.sha256(usedforsecurity=False)
    _copy(source, destination, digest, progress)
    got = digest.hexdigest()
    if expected.sha256 not in (None, got):
        raise diagnosis.wrong_digest(expected, got, None, str(source), {})
    received = Received(got, size)
    give_receipt(destination, received)
    return received


def _copy(source: Path, destination: Path, digest: Digest, progress: Progress) -> None:
    size = source.stat().st_size
    done = 0
    hashing = InlineHash(digest, CHUNK) if size <= INLINE else HashThread(digest, CHUNK)
    with source.open("rb", buffering=0) as file, destination.open("wb", buffering=0) as sink, hashing:
        while count := file.readinto(buffer := hashing.buffer()):
            write_all(sink, memoryview(buffer)[:count])
            hashing.hash(buffer, count)
            done += count
            progress(done, size)
