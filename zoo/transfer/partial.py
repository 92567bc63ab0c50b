"""A file that is not complete yet, and the JSON beside it that says what it is a part of.

Both survive a kill. Bytes on the disk are taken on again only where the pinned digest will judge
the whole, or within the process that wrote them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.records import record
from zoo.transfer.streaming import CHUNK, Digest

if TYPE_CHECKING:
    from io import FileIO

    from zoo.records import FileSpec

RUN = secrets.token_hex(8)
"""Names this process, so that a partial file of unknown digest is not taken over by another."""


@record
class Note:
    """What a partial file is a part of."""

    url: str
    identity: str | None
    """The pinned sha256, or another name of bytes that a later check judges."""
    size: int | None
    etag: str | None = None
    last_modified: str | None = None
    run: str = RUN
    prefix: int | None = None
    """Bytes from the start that are there; None where that is the whole file."""
    islands: tuple[tuple[int, int], ...] = ()
    """Spans behind the prefix that are there, from a parallel phase."""


class Partial:
    """The growing file at `path`, and the digest of its bytes."""

    def __init__(self, path: Path, expected: FileSpec, identity: str | None = None) -> None:
        self.path = path
        self.identity = expected.sha256 or identity
        self.expected = expected
        self.note_path = path.with_name(path.name + ".json")
        self.digest: Digest = hashlib.sha256(usedforsecurity=False)
        self.hashed = 0
        self.note: Note | None = None
        self.noted = False
        """Whether the note lies beside the file."""
        self.islands: tuple[tuple[int, int], ...] = ()
        self._noting = threading.Lock()
        self._adopt()

    def _adopt(self) -> None:
        """Take on what an earlier run left, or clear it away."""
        note = self._read_note()
        size = self._size_on_disk()
        if note is None and not size:
            return  # nothing was left, which is the rule
        known = note is not None and note.identity == self.identity
        trusted = known and note is not None and (note.identity is not None or note.run == RUN)
        if not trusted or not size or (self.expected.size is not None and size > self.expected.size):
            self.discard()
            return
        self.note = note
        self.noted = True
        prefix, self.islands = _there(note, size)
        self._hash_file(prefix)

    def _size_on_disk(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def _read_note(self) -> Note | None:
        try:
            raw: dict[str, Any] = json.loads(self.note_path.read_text())
            raw["islands"] = tuple((int(start), int(stop)) for start, stop in raw.get("islands", ()))
            return Note(**raw)
        except (OSError, ValueError, TypeError):  # absent, torn by a crash, or of another version
            return None

    def _hash_file(self, size: int) -> None:
        buffer = memoryview(bytearray(CHUNK))
        with self.path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer[: size - self.hashed]):
                self.digest.update(buffer[:count])
                self.hashed += count

    @property
    def size(self) -> int:
        """Bytes that are on the disk and in the digest."""
        return self.hashed

    def discard(self) -> None:
        """Forget the bytes: the next try starts from 0."""
        self.digest = hashlib.sha256(usedforsecurity=False)
        self.hashed = 0
        self.note = None
        self.islands = ()
        self.noted = False
        self.note_path.unlink(missing_ok=True)
        if self._size_on_disk():
            os.truncate(self.path, 0)

    def begin(self, note: Note) -> None:
        """Write down what the bytes belong to, before the first one comes."""
        self.note = note
        # A name of the process's own, and no suffix that would pass for a note.
        fresh = self.note_path.with_name(f"{self.note_path.name}.{RUN}")
        fresh.write_text(json.dumps(dataclasses.asdict(note)))
        fresh.replace(self.note_path)
        self.noted = True

    def note_islands(self, islands: Iterable[tuple[int, int]]) -> None:
        """Write down what of the file is there in the middle of a parallel phase."""
        with self._noting:
            self.islands = tuple(islands)
            if self.note is not None:
                self.begin(dataclasses.replace(self.note, prefix=self.hashed, islands=self.islands))

    def open(self) -> FileIO:
        """The file for a single stream, positioned behind its prefix; islands are given up."""
        file = self._opened()
        file.truncate(self.hashed)
        file.seek(self.hashed)
        self.islands = ()
        if self.note is not None and self.note.prefix is not None:
            self.begin(dataclasses.replace(self.note, prefix=None, islands=()))
        return file

    def open_sparse(self, size: int) -> FileIO:
        """The file at its full size, for writes anywhere. The note says what of it is there."""
        self.note_islands(self.islands)
        file = self._opened()
        file.truncate(size)
        return file

    def _opened(self) -> FileIO:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        return os.fdopen(handle, "r+b", buffering=0)

    def remove(self) -> None:
        """Leave nothing, as after a full disk."""
        self.path.unlink(missing_ok=True)
        self.note_path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Keep the file, drop the note."""
        if self.noted:
            self.note_path.unlink(missing_ok=True)
            self.noted = False


def _there(note: Note | None, size: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The prefix and the islands of a partial file of `size` bytes; touching ones are one."""
    if note is None or note.prefix is None:
        return size, ()
    prefix = min(note.prefix, size)
    apart = []
    for start, stop in sorted(note.islands):
        if start <= prefix:
            prefix = min(max(prefix, stop), size)
        elif stop <= size:
            apart.append((start, stop))
    return prefix, tuple(apart)
