"""Zip files: what a second reader could see differently, and what unpacks to far more than it holds."""

from __future__ import annotations

import struct
import zipfile
from itertools import pairwise

from zoo.detection.source import BrokenFileError, Source

MAX_RATIO = 200
MAX_UNPACKED = 64 << 30
RATIO_FLOOR = 64 << 20
"""Members up to this size may have any ratio: an array of zeros packs well."""


def audit_zip(source: Source, archive: zipfile.ZipFile) -> list[str]:
    """Reasons against an archive as a container, whatever its members are."""
    members = archive.infolist()
    reasons = _names(members) + _sizes(members)
    for info in members:
        reasons += _member(source, info)
    return reasons + _layout(source, members)


def _names(members: list[zipfile.ZipInfo]) -> list[str]:
    seen: set[str] = set()
    reasons = []
    for info in members:
        if info.filename in seen:
            reasons.append(f"zip member {info.filename!r} twice")
        seen.add(info.filename)
        parts = info.filename.replace("\\", "/").split("/")
        if info.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            reasons.append(f"zip member {info.filename!r} outside its folder")
    return reasons


def _sizes(members: list[zipfile.ZipInfo]) -> list[str]:
    unpacked = sum(info.file_size for info in members)
    packed = sum(info.compress_size for info in members)
    if unpacked > MAX_UNPACKED or (unpacked > RATIO_FLOOR and unpacked > MAX_RATIO * packed):
        return [f"unpacks from {packed} to {unpacked} bytes"]
    return []


def _member(source: Source, info: zipfile.ZipInfo) -> list[str]:
    reasons = []
    if info.flag_bits & 0x1:
        reasons.append(f"zip member {info.filename!r} is encrypted")
    if (info.external_attr >> 16) & 0o170000 == 0o120000:
        reasons.append(f"zip member {info.filename!r} is a symbolic link")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        reasons.append(f"zip member {info.filename!r} packed by method {info.compress_type}")
    try:
        reasons += _local(source, info)
    except BrokenFileError as error:
        reasons.append(f"zip member {info.filename!r}: {error}")
    return reasons


def _local(source: Source, info: zipfile.ZipInfo) -> list[str]:
    """What the header before the data says otherwise than the directory does."""
    header = source.exactly(info.header_offset, 30)
    magic, _, flags, method, _, _, _, packed, unpacked, names, _ = struct.unpack("<IHHHHHIIIHH", header)
    name = source.exactly(info.header_offset + 30, names)
    reasons = []
    if magic != 0x04034B50:
        reasons.append(f"zip member {info.filename!r} has no local header")
    if name != info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437", "replace"):
        reasons.append(f"zip member {info.filename!r} is called {name[:60]!r} in its local header")
    if method != info.compress_type or (flags ^ info.flag_bits) & 0x1:
        reasons.append(f"zip member {info.filename!r} is packed otherwise in its local header")
    # Sizes may be left to a descriptor after the data (flag 3) or to the zip64 field.
    stated = not flags & 0x8 and 0xFFFFFFFF not in (packed, unpacked)
    if stated and (packed, unpacked) != (info.compress_size, info.file_size):
        reasons.append(f"zip member {info.filename!r} has other sizes in its local header")
    return reasons


def _layout(source: Source, members: list[zipfile.ZipInfo]) -> list[str]:
    places = sorted((info.header_offset, info.header_offset + 30 + info.compress_size) for info in members)
    reasons = []
    if places and places[0][0] > 0:
        reasons.append(f"{places[0][0]} bytes before the first zip member")
    if any(following[0] < place[1] for place, following in pairwise(places)):
        reasons.append("zip members that overlap")
    # Only with the end record at the very end do all readers find the same one.
    if source.read(max(0, source.size - 22), 4) != b"PK\x05\x06":
        reasons.append("a comment or other bytes after the zip directory")
    return reasons
