"""The parts of HDF5 that say what a file is and where its data really lies.

h5py is no dependency of the core, and reading a hostile file with the C library is what we want to
avoid. Groups of both styles and attributes stored in the object header are read; links or
attributes in a fractal heap ("dense" storage, which Keras does not write) are reported as such.
Source: HDF5 File Format Specification 3.0, https://support.hdfgroup.org/documentation/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from zoo.detection.source import BrokenFileError, Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_MESSAGES = 20_000
MAX_LINKS = 200_000
DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08
ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x0C, 0x10, 0x11, 0x15


@dataclass(frozen=True, slots=True)
class Link:
    """A name in a group. `kind` is ``"hard"``, ``"soft"``, ``"external"`` or ``"user-defined"``."""

    name: str
    kind: str
    address: int | None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Bytes that the shape declares, and bytes that the file has for them."""

    declared: int
    stored: int
    storage: str


@dataclass(slots=True)
class Node:
    """One group or dataset: its attributes (text where it is text), links and data."""

    attributes: dict[str, str | None] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    dataset: Dataset | None = None
    oddities: list[str] = field(default_factory=list)


def find_superblock(source: Source) -> int | None:
    """The place of the superblock: 0, 512, 1024, … doubling; None where there is none."""
    offset = 0
    while offset < min(source.size, 1 << 26):
        if source.near(offset, 8) == SIGNATURE:
            return offset
        offset = offset * 2 or 512
    return None


class Hdf5:
    """An HDF5 file; `root` is the address of its root group's object header."""

    def __init__(self, source: Source) -> None:
        start = find_superblock(source)
        if start is None:
            raise BrokenFileError("no HDF5 superblock")
        self.source = source
        version = source.exactly(start + 8, 1)[0]
        place = start + 9 if version >= 2 else start + 13
        self.offsets, self.lengths = source.exactly(place, 2)
        if self.offsets not in (4, 8) or self.lengths not in (4, 8):
            raise BrokenFileError(f"HDF5 addresses of {self.offsets} and lengths of {self.lengths} bytes")
        self.base = start
        first = start + {0: 24, 1: 28}.get(version, 12)
        step = self.offsets
        root = first + 3 * step if version >= 2 else first + 5 * step
        self.undefined = (1 << (8 * step)) - 1
        self.root = self.number(root, step)

    def number(self, place: int, width: int) -> int:
        data = self.source.near(place, width)
        if len(data) != width or place < 0:
            raise BrokenFileError(f"HDF5 address {place} lies outside the file of {self.source.size} bytes")
        return int.from_bytes(data, "little")

    def at(self, address: int) -> int:
        return address + self.base

    def content(self, place: int, length: int) -> bytes:
        return self.source.exactly(place, length)

    # --- objects --------------------------------------------------------------------------------

    def node(self, address: int) -> Node:
        """Read one object header with all its messages."""
        node = Node()
        shape: list[int] | None = None
        element = 0
        layout: tuple[int, int] | None = None
        for kind, flags, place, size in self.messages(address):
            if flags & 2 and kind in (DATASPACE, LAYOUT, ATTRIBUTE, LINK):
                node.oddities.append("a shared message")
            elif kind == ATTRIBUTE:
                self._attribute(node, place, size)
            elif kind in (LINK, LINK_INFO, SYMBOL_TABLE, ATTRIBUTE_INFO):
                self._links(node, kind, place, size)
            elif kind == EXTERNAL_FILES:
                node.oddities.append("data in an external file")
            elif kind == DATASPACE:
                shape = self._shape(place)
            elif kind == DATATYPE and not flags & 2:
                element = self.number(place + 4, 4)
            elif kind == LAYOUT:
                layout = (place, size)
        if layout is not None:
            declared = element
            for length in shape or ():
                declared *= length
            node.dataset = self._dataset(declared, layout[0])
        return node

    def messages(self, address: int) -> Iterator[tuple[int, int, int, int]]:
        """(type, flags, place, size) of each header message, through all continuations."""
        place = self.at(address)
        modern = self.source.near(place, 4) == b"OHDR"
        blocks, flags = [self._first_block(place, modern)], 0
        flags = self.number(place + 5, 1) if modern else 0
        seen: set[int] = set()
        count = 0
        while blocks:
            start, end = blocks.pop()
            if start in seen:
                raise BrokenFileError("HDF5 header continues in itself")
            seen.add(start)
            for message in self._block(start, end, modern, flags):
                count += 1
                if count > MAX_MESSAGES:
                    raise BrokenFileError(f"an HDF5 header with more than {MAX_MESSAGES} messages")
                if message[0] == CONTINUATION:
                    blocks.append(self._continuation(message[2], modern))
                else:
                    yield message

    def _first_block(self, place: int, modern: bool) -> tuple[int, int]:
        if modern:
            flags = self.number(place + 5, 1)
            start = place + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            return start + width, start + width + self.number(start, width)
        if self.number(place, 1) != 1:
            raise BrokenFileError(f"no HDF5 object header at {place}")
        return place + 16, place + 16 + self.number(place + 8, 4)

    def _continuation(self, place: int, modern: bool) -> tuple[int, int]:
        start = self.at(self.number(place, self.offsets))
        length = self.number(place + self.offsets, self.lengths)
        return (start + 4, start + length - 4) if modern else (start, start + length)

    def _block(self, start: int, end: int, modern: bool, flags: int) -> Iterator[tuple[int, int, int, int]]:
        if end > self.source.size:
            raise BrokenFileError(
                f"an HDF5 header reaches beyond the file ({end} of {self.source.size} bytes)"
            )
        head = (6 if flags & 4 else 4) if modern else 8
        while start + head <= end:
            if modern:
                kind, size, bits = struct.unpack("<BHB", self.content(start, 4))
            else:
                kind, size, bits = struct.unpack("<HHB", self.content(start, 5))
            yield kind, bits, start + head, size
            start += head + size

    # --- attributes -------------------------------------------------------------------------------

    def _attribute(self, node: Node, place: int, size: int) -> None:
        version = self.number(place, 1)
        names, types, spaces = struct.unpack("<HHH", self.content(place + 2, 6))
        step = 8 if version == 1 else 1
        start = place + (9 if version == 3 else 8)
        name = self.content(start, names).rstrip(b"\0").decode("utf-8", "replace")
        type_at = start + _padded(names, step)
        data = type_at + _padded(types, step) + _padded(spaces, step)
        node.attributes[name] = self._text(type_at, data, place + size)

    def _text(self, type_at: int, data: int, end: int) -> str | None:
        kind = self.number(type_at, 1) & 0x0F
        if kind == 3:
            return self.content(data, max(0, end - data)).split(b"\0")[0].decode("utf-8", "replace")
        if kind == 9 and data + 8 + self.offsets <= end:
            heap, index = self.number(data + 4, self.offsets), self.number(data + 4 + self.offsets, 4)
            return self._heap_object(self.at(heap), index).decode("utf-8", "replace")
        return None

    def _heap_object(self, place: int, wanted: int) -> bytes:
        if self.source.near(place, 4) != b"GCOL":
            return b""
        end = place + self.number(place + 8, self.lengths)
        start = place + 8 + self.lengths
        for _ in range(MAX_MESSAGES):
            if start + 8 + self.lengths > min(end, self.source.size):
                break
            index, size = self.number(start, 2), self.number(start + 8, self.lengths)
            if index == wanted:
                return self.content(start + 8 + self.lengths, size)
            start += 8 + self.lengths + (size + 7) // 8 * 8
        return b""

    # --- links ------------------------------------------------------------------------------------

    def _links(self, node: Node, kind: int, place: int, size: int) -> None:
        if kind == SYMBOL_TABLE:
            tree, heap = self.number(place, self.offsets), self.number(place + self.offsets, self.offsets)
            names = self.at(self.number(self.at(heap) + 8 + 2 * self.lengths, self.offsets))
            node.links.extend(self._old_links(self.at(tree), names))
        elif kind == LINK:
            node.links.append(self._link(place))
        elif self._dense(kind, place):
            node.oddities.append("links or attributes in a fractal heap, which this reader does not follow")

    def _dense(self, kind: int, place: int) -> bool:
        flags = self.number(place + 1, 1)
        skip = (8 if kind == LINK_INFO else 2) if flags & 1 else 0
        return self.number(place + 2 + skip, self.offsets) != self.undefined

    def _old_links(self, tree: int, names: int) -> Iterator[Link]:
        for leaf in self._leaves(tree, b"SNOD", self.lengths):
            for index in range(self.number(leaf + 6, 2)):
                entry = leaf + 8 + index * (2 * self.offsets + 24)
                name = self._name(names + self.number(entry, self.offsets))
                soft = self.number(entry + 2 * self.offsets, 4) == 2
                address = None if soft else self.number(entry + self.offsets, self.offsets)
                yield Link(name, "soft" if soft else "hard", address)

    def _leaves(self, tree: int, magic: bytes, key: int) -> Iterator[int]:
        """Addresses below a version 1 B-tree whose children start with `magic`."""
        todo, seen = [tree], 0
        while todo:
            place = todo.pop()
            seen += 1
            if seen > MAX_LINKS:
                raise BrokenFileError(f"an HDF5 group with more than {MAX_LINKS} nodes")
            found = self.source.near(place, 4)
            if found == magic:
                yield place
            elif found == b"TREE":
                start = place + 8 + 2 * self.offsets + key
                step = key + self.offsets
                count = self.number(place + 6, 2)
                todo += [self.at(self.number(start + i * step, self.offsets)) for i in reversed(range(count))]
            else:
                raise BrokenFileError(f"no HDF5 tree at {place}")

    def _name(self, place: int) -> str:
        return self.source.near(place, 4096).split(b"\0")[0].decode("utf-8", "replace")

    def _link(self, place: int) -> Link:
        flags = self.number(place + 1, 1)
        at = place + 2
        kind = self.number(at, 1) if flags & 8 else 0
        at += (1 if flags & 8 else 0) + (8 if flags & 4 else 0) + (1 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        length = self.number(at, width)
        name = self.content(at + width, length).decode("utf-8", "replace")
        address = self.number(at + width + length, self.offsets) if kind == 0 else None
        return Link(name, {0: "hard", 1: "soft", 64: "external"}.get(kind, "user-defined"), address)

    # --- data -------------------------------------------------------------------------------------

    def _shape(self, place: int) -> list[int]:
        version, rank = self.number(place, 1), self.number(place + 1, 1)
        start = place + (8 if version == 1 else 4)
        return [self.number(start + i * self.lengths, self.lengths) for i in range(rank)]

    def _dataset(self, declared: int, place: int) -> Dataset:
        version, kind = self.number(place, 1), self.number(place + 1, 1)
        if version < 3:
            return Dataset(declared, -1, "layout of HDF5 < 1.6")
        if kind == 0:
            return Dataset(declared, self.number(place + 2, 2), "compact")
        if kind == 1:
            address, size = (
                self.number(place + 2, self.offsets),
                self.number(place + 2 + self.offsets, self.lengths),
            )
            inside = address != self.undefined and self.at(address) + size <= self.source.size
            return Dataset(declared, size if inside else 0, "contiguous")
        if kind == 2 and version == 3:
            return Dataset(declared, self._chunks(place), "chunked")
        return Dataset(declared, -1, {2: "chunked, new style", 3: "virtual"}.get(kind, f"unknown ({kind})"))

    def _chunks(self, place: int) -> int:
        rank = self.number(place + 2, 1)
        tree = self.number(place + 3, self.offsets)
        if tree == self.undefined:
            return 0
        return self._chunk_bytes(self.at(tree), 8 + 8 * rank)

    def _chunk_bytes(self, tree: int, key: int) -> int:
        todo, total, seen = [tree], 0, 0
        while todo:
            place = todo.pop()
            seen += 1
            if seen > MAX_LINKS or self.source.near(place, 4) != b"TREE":
                raise BrokenFileError(f"no HDF5 chunk index at {place}")
            level, count = self.number(place + 5, 1), self.number(place + 6, 2)
            start = place + 8 + 2 * self.offsets
            for index in range(count):
                entry = start + index * (key + self.offsets)
                total += self.number(entry, 4) if level == 0 else 0
                if level:
                    todo.append(self.at(self.number(entry + key, self.offsets)))
        return total


def _padded(length: int, step: int) -> int:
    return (length + step - 1) // step * step
