"""What a transfer saw: the digest it computed saves the store from reading the file again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from zoo.records import record


@record
class Received:
    """What came: the digest and size of the bytes, and how many of them an earlier run had."""

    digest: str
    size: int
    resumed: int = 0
    etag: str | None = None
    last_modified: str | None = None
    seconds: float = 0.0


Receipts = dict[Path, tuple[Received, tuple[int, int]]]
_receipts: ContextVar[Receipts | None] = ContextVar("zoo.transfer.receipts", default=None)


@contextmanager
def collecting() -> Iterator[Receipts]:
    """Collect the receipts of the downloads inside."""
    made: Receipts = {}
    token = _receipts.set(made)
    try:
        yield made
    finally:
        _receipts.reset(token)


def give_receipt(path: Path, received: Received) -> None:
    """Leave a receipt for the file at `path` as it is now."""
    held = _receipts.get()
    if held is not None:
        held[path] = received, _stamp(path)


def receipt(receipts: Receipts, path: Path) -> Received | None:
    """The receipt of `path`, unless the file was changed since it was given."""
    found = receipts.get(path)
    return found[0] if found and found[1] == _stamp(path) else None


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
