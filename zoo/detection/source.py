"""Bytes of a file of any size, read in bounded pieces."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

HEAD = 64 * 1024
NEAR = 8 * 1024
KEEP = 64 * 1024
"""Literals and lines up to this many bytes are kept; longer ones are passed over."""


class BrokenFileError(ValueError):
    """The bytes do not follow the format; the message says where."""


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text; raises `BrokenFileError`, for one nested too deeply as well."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(f"no JSON: {error}") from error


class Source:
    """A file opened for reading at any place. `head` holds its first 64 KiB."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.size = file.seek(0, io.SEEK_END)
        self.head = self.read(0, HEAD)
        self._block = (0, self.head)

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Source]:
        with path.open("rb") as file:
            yield cls(path, file)

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer at the end of the file, none beyond it."""
        if not 0 <= offset <= self.size:
            return b""
        self.file.seek(offset)
        return self.file.read(length)

    def exactly(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; raises `BrokenFileError` where the file is shorter."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise BrokenFileError(f"{length} bytes at {offset} lie outside the file of {self.size} bytes")
        return self.read(offset, length)

    def near(self, offset: int, length: int) -> bytes:
        """As `read`, for many short reads close to each other (at most 4 KiB)."""
        start, block = self._block
        if not start <= offset <= start + len(block) - length:
            start, block = self._block = (offset, self.read(offset, NEAR))
        return block[offset - start : offset - start + length]

    def tape(self, offset: int = 0, ceiling: int | None = None) -> Tape:
        """The file from `offset` on, to be read forwards."""
        self.file.seek(offset)
        return Tape(cast(io.BufferedIOBase, self.file), ceiling, offset, self.size)

    def __len__(self) -> int:
        return self.size


class Elided:
    """A literal too long to keep: its place, its length, and its first and last bytes."""

    __slots__ = ("head", "length", "start", "tail")

    def __init__(self, start: int, length: int, head: bytes, tail: bytes) -> None:
        self.start = start
        self.length = length
        self.head = head
        self.tail = tail


class Tape:
    """A stream that is read forwards, with a count of its bytes and a ceiling on them.

    `read` and `readline` are what the argument readers of `pickletools` call.
    """

    def __init__(
        self,
        stream: io.BufferedIOBase,
        ceiling: int | None = None,
        start: int = 0,
        size: int | None = None,
    ) -> None:
        self._stream = stream
        self._ceiling = ceiling
        self._size = size
        self.position = start

    def read(self, length: int) -> bytes:
        self._count(length)
        return self._stream.read(length)

    def readline(self) -> bytes:
        line = self._stream.readline(KEEP)
        self._count(len(line))
        if len(line) == KEEP:
            raise BrokenFileError(f"a line longer than {KEEP} bytes at {self.position}")
        return line

    def take(self, length: int) -> bytes:
        """Exactly `length` bytes; raises `BrokenFileError` at an early end."""
        data = self._stream.read(length)
        self.position += length
        if len(data) != length:
            raise BrokenFileError(f"ends after {self.position} bytes, in the middle of an item")
        if self._ceiling is not None and self.position > self._ceiling:
            raise BrokenFileError(f"unpacks to more than {self._ceiling} bytes")
        return data

    def pass_over(self, length: int) -> Elided:
        """Skip `length` bytes: by seeking in a file, in pieces where the stream is unpacked."""
        start = self.position
        head = self.take(min(length, KEEP))
        if self._size is not None and length > 2 * KEEP:
            self._jump(start + length - KEEP)
        tail = head
        while left := length - (self.position - start):
            tail = (tail + self.take(min(left, 1 << 20)))[-KEEP:]
        return Elided(start, length, head, tail)

    def _jump(self, position: int) -> None:
        if self._size is None or position > self._size:
            raise BrokenFileError(f"an item at {self.position} reaches beyond the end of the file")
        self._stream.seek(position)
        self.position = position

    def at_end(self) -> bool:
        data = self._stream.read(1)
        self.position += len(data)
        return not data

    def _count(self, length: int) -> None:
        self.position += length
        if self._ceiling is not None and self.position > self._ceiling:
            raise BrokenFileError(f"unpacks to more than {self._ceiling} bytes")


# --- compressed streams -----------------------------------------------------------------------

COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"]\x00\x00": "lzma",
    b"ZF0x": "zlib of joblib < 0.10",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
}
ZLIB_LEVELS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def compression(head: bytes) -> str | None:
    """The name of the compression that `head` starts with, else None."""
    if head[:2] in ZLIB_LEVELS:
        return "zlib"
    return next((name for magic, name in COMPRESSIONS.items() if head.startswith(magic)), None)


def decompressed(source: Source, name: str, ceiling: int) -> Tape:
    """The unpacked bytes of a source, at most `ceiling` of them; raises for lz4 and zstd."""
    source.file.seek(_old_joblib_header(source.head) if name.startswith("zlib of") else 0)
    if name == "gzip":
        return Tape(cast(io.BufferedIOBase, gzip.GzipFile(fileobj=source.file)), ceiling)
    if name == "bz2":
        return Tape(cast(io.BufferedIOBase, bz2.BZ2File(source.file)), ceiling)
    if name in ("xz", "lzma"):
        return Tape(cast(io.BufferedIOBase, lzma.LZMAFile(source.file)), ceiling)
    if name.startswith("zlib"):
        return Tape(io.BufferedReader(_Inflating(source.file)), ceiling)
    raise BrokenFileError(f"{name} cannot be unpacked with the standard library")


def _old_joblib_header(head: bytes) -> int:
    # "ZF", then the size in hexadecimal, padded with spaces to a width that depends on the Python.
    return len(head[:32]) - len(head[2:32].lstrip(b"0123456789abcdefxL").lstrip(b" "))


class _Inflating(io.RawIOBase):
    """A zlib stream as a raw file: joblib writes these, and no module of the library reads them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = b""
        while not data and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(16 * 1024)
            if not packed:
                break
            data = self._inflate.decompress(packed, len(buffer))
        buffer[: len(data)] = data
        return len(data)


UNPACK_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, BrokenFileError)
"""What reading a damaged compressed stream can raise."""
