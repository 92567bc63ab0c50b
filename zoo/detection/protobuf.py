"""The wire format of protocol buffers, without a schema: what fields a message has.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zoo.detection.source import BrokenFileError, Source

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, wire type, and the value (varint) or the place of its content."""

    number: int
    wire: int
    value: int
    start: int
    end: int


def fields(source: Source, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """The fields between two places, in order; raises `BrokenFileError` where the bytes are none."""
    end = source.size if end is None else end
    while start < end:
        tag, start = _varint(source, start, end)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise BrokenFileError(f"field number {number} at {start}")
        value, content, start = _content(source, wire, start, end)
        if start > end:
            raise BrokenFileError(f"field {number} ends at {start}, beyond its message's end {end}")
        yield Field(number, wire, value, content, start)


def text(source: Source, field: Field, limit: int = 4096) -> str:
    """The content of a bytes field as text; raises `BrokenFileError` for other fields."""
    if field.wire != BYTES:
        raise BrokenFileError(f"field {field.number} at {field.start} is no text")
    return source.near(field.start, min(field.end - field.start, limit)).decode("utf-8", "replace")


def _content(source: Source, wire: int, start: int, end: int) -> tuple[int, int, int]:
    if wire == VARINT:
        value, after = _varint(source, start, end)
        return value, start, after
    if wire == BYTES:
        length, start = _varint(source, start, end)
        return 0, start, start + length
    if wire in (FIXED64, FIXED32):
        return 0, start, start + (8 if wire == FIXED64 else 4)
    raise BrokenFileError(f"wire type {wire} at {start}")


def _varint(source: Source, start: int, end: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(source.near(start, 10)):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if start + index >= end:
                break
            return value, start + index + 1
    raise BrokenFileError(f"no number ends before {min(start + 10, end)}")
