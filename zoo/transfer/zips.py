"""One member of a zip archive that is far away, by byte ranges (PKWARE APPNOTE 6.3.10, zip64 too).

End of central directory → central directory → local header with the member's data: two or three
small requests and one of the member's compressed size, whatever the archive weighs.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.records import record
from zoo.transfer.errors import ArchiveError
from zoo.transfer.streaming import CHUNK

if TYPE_CHECKING:
    from io import BufferedReader, RawIOBase

Read = Callable[[int, int], bytes]
"""Bytes ``start:stop`` of the archive."""

TAIL = 2**16
_EOCD = struct.Struct("<4s4H2LH")
_LOCATOR64 = struct.Struct("<4sLQL")
_EOCD64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_LARGEST_DIRECTORY = 64 * 2**20


@record
class Member:
    """A member's place: `start` is its local header, `stop` where the next thing begins."""

    name: str
    method: int
    flags: int
    crc: int
    compressed: int
    size: int
    start: int
    stop: int


def directory(read: Read, size: int) -> dict[str, Member]:
    """The members of an archive of `size` bytes. Raises `ArchiveError` where it is not a zip."""
    tail_start = max(0, size - TAIL)
    tail = read(tail_start, size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _EOCD.size:
        raise ArchiveError("not a zip archive: no end of central directory")
    _, _, _, _, _, length, start, _ = _EOCD.unpack_from(tail, at)
    if 0xFFFFFFFF in (length, start) or tail[max(0, at - 20) :][:4] == b"PK\x06\x07":
        length, start = _zip64(read, tail, at)
    if length > _LARGEST_DIRECTORY or start + length > size:
        raise ArchiveError(f"the central directory claims {length} bytes at {start} of {size}")
    if start >= tail_start:
        data = tail[start - tail_start :][:length]
    else:
        data = read(start, start + length)
    return _members(data, start)


def _zip64(read: Read, tail: bytes, at: int) -> tuple[int, int]:
    if at < _LOCATOR64.size:
        raise ArchiveError("zip64 locator is missing")
    magic, _, offset, _ = _LOCATOR64.unpack_from(tail, at - _LOCATOR64.size)
    if magic != b"PK\x06\x07":
        raise ArchiveError("zip64 locator is missing")
    found = _EOCD64.unpack(read(offset, offset + _EOCD64.size))
    if found[0] != b"PK\x06\x06":
        raise ArchiveError("zip64 end of central directory is missing")
    return found[8], found[9]


def _members(data: bytes, directory_start: int) -> dict[str, Member]:
    found = []
    at = 0
    while at + _ENTRY.size <= len(data) and data[at : at + 4] == b"PK\x01\x02":
        fields = _ENTRY.unpack_from(data, at)
        name_length, extra_length, comment_length = fields[10:13]
        name = data[at + _ENTRY.size :][:name_length]
        extra = data[at + _ENTRY.size + name_length :][:extra_length]
        found.append(_member(fields, name, extra))
        at += _ENTRY.size + name_length + extra_length + comment_length
    return _with_stops(found, directory_start)


def _member(fields: tuple[int, ...], name: bytes, extra: bytes) -> Member:
    flags, method, crc, compressed, size, start = (fields[i] for i in (3, 4, 7, 8, 9, 16))
    text = name.decode("utf-8" if flags & 0x800 else "cp437")
    big = _zip64_extra(extra)
    if size == 0xFFFFFFFF:
        size = big.pop(0)
    if compressed == 0xFFFFFFFF:
        compressed = big.pop(0)
    if start == 0xFFFFFFFF:
        start = big.pop(0)
    return Member(text, method, flags, crc, compressed, size, start, 0)


def _zip64_extra(extra: bytes) -> list[int]:
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        if tag == 1:
            return list(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
        at += 4 + length
    return [0, 0, 0]


def _with_stops(found: list[Member], end: int) -> dict[str, Member]:
    ordered = sorted(found, key=lambda member: member.start)
    stops = [member.start for member in ordered[1:]] + [end]
    return {
        member.name: Member(
            member.name,
            member.method,
            member.flags,
            member.crc,
            member.compressed,
            member.size,
            member.start,
            stop,
        )
        for member, stop in zip(ordered, stops, strict=True)
    }


def unpack(
    member: Member, packed: Path, sink: RawIOBase, update: Callable[[memoryview | bytes], None]
) -> None:
    """Write the plain bytes of `member`, whose bytes ``start:stop`` are in `packed`, to `sink`.

    `update` sees the same bytes. Raises `ArchiveError` for another compression than stored and
    deflate, for encryption, or where size or CRC do not match.
    """
    if member.method not in (0, 8) or member.flags & 1:
        raise ArchiveError(f"{member.name}: compression {member.method} or encryption is not supported")
    crc = size = 0
    with packed.open("rb") as file:
        _skip_header(member, file)
        for data in _plain(member, file):
            crc = zlib.crc32(data, crc)
            size += len(data)
            update(data)
            sink.write(data)
    if size != member.size or crc != member.crc:
        raise ArchiveError(
            f"{member.name}: damaged ({size} of {member.size} bytes, CRC {crc:08x} not {member.crc:08x})"
        )


def _skip_header(member: Member, file: BufferedReader) -> None:
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size or head[:4] != b"PK\x03\x04":
        raise ArchiveError(f"{member.name}: its local header is missing")
    name_length, extra_length = _LOCAL.unpack(head)[9:11]
    file.seek(_LOCAL.size + name_length + extra_length)


def _plain(member: Member, file: BufferedReader):  # type: ignore[no-untyped-def]
    left = member.compressed
    inflate = zlib.decompressobj(-15) if member.method == 8 else None
    room = member.size
    while left and (data := file.read(min(CHUNK, left))):
        left -= len(data)
        while data:
            plain = inflate.decompress(data, min(CHUNK, room) + 1) if inflate else data
            data = inflate.unconsumed_tail if inflate else b""
            room -= len(plain)
            if room < 0:
                raise ArchiveError(f"{member.name}: is larger than the {member.size} bytes it claims")
            if plain:
                yield plain
            elif not data:
                break
