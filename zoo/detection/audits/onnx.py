"""ONNX files: functions that expand without bound, external data elsewhere, sizes that are not there.

Source of the field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from zoo.detection.protobuf import BYTES, VARINT, Field, fields, text
from zoo.detection.source import BrokenFileError, Source

MAX_NODES = 500_000
MAX_DEPTH = 60
DECLARED_FLOOR = 16 << 20
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128,
         16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2}  # fmt: skip

Key = tuple[str, str, str]


@dataclass(slots=True)
class _Body:
    """Nodes of a graph or function: how many by themselves, and which functions they may call."""

    nodes: int = 0
    calls: list[Key] = field(default_factory=list)


class _Audit:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.reasons: list[str] = []

    def model(self) -> None:
        functions: dict[Key, _Body] = {}
        graph = _Body()
        for one in fields(self.source):
            if one.number == 7 and one.wire == BYTES:
                graph = self.graph(one, 0)
            elif one.number == 25 and one.wire == BYTES:
                key, body = self.function(one)
                functions[key] = body
        self.expansion(graph, functions)

    def expansion(self, graph: _Body, functions: dict[Key, _Body]) -> None:
        sizes: dict[Key, int] = {}
        try:
            total = _expanded(graph, functions, sizes, ())
        except BrokenFileError as error:
            self.reasons.append(str(error))
            return
        if total > MAX_NODES:
            self.reasons.append(f"functions that expand to {total} nodes")

    # --- graphs ---------------------------------------------------------------------------------

    def graph(self, place: Field, depth: int) -> _Body:
        if depth > MAX_DEPTH:
            raise BrokenFileError(f"graphs nested more than {MAX_DEPTH} deep")
        body = _Body()
        for one in fields(self.source, place.start, place.end):
            if one.number == 1:
                self.node(one, body, depth)
            elif one.number == 5:
                self.tensor(one)
            elif one.number == 15:
                self.sparse(one)
        return body

    def function(self, place: Field) -> tuple[Key, _Body]:
        body, named = _Body(), {1: "", 10: "", 13: ""}
        for one in fields(self.source, place.start, place.end):
            if one.number in named:
                named[one.number] = text(self.source, one)
            elif one.number == 7:
                self.node(one, body, 0)
            elif one.number == 11:
                self.attribute(one, body, 0)
        return (named[10], named[1], named[13]), body

    def node(self, place: Field, body: _Body, depth: int) -> None:
        named = {4: "", 7: "", 8: ""}
        body.nodes += 1
        for one in fields(self.source, place.start, place.end):
            if one.number in named:
                named[one.number] = text(self.source, one)
            elif one.number == 5:
                self.attribute(one, body, depth)
        body.calls.append((named[7], named[4], named[8]))

    def attribute(self, place: Field, body: _Body, depth: int) -> None:
        for one in fields(self.source, place.start, place.end):
            if one.wire != BYTES:
                continue
            if one.number in (6, 11):
                inner = self.graph(one, depth + 1)
                body.nodes += inner.nodes
                body.calls += inner.calls
            elif one.number in (5, 10):
                self.tensor(one)
            elif one.number in (22, 23):
                self.sparse(one)

    # --- tensors --------------------------------------------------------------------------------

    def tensor(self, place: Field) -> tuple[int, int]:
        """Bytes declared and stored of a TensorProto."""
        dims: list[int] = []
        external: dict[str, str] = {}
        kind, stored, raw, name = 0, 0, False, ""
        for one in fields(self.source, place.start, place.end):
            if one.number == 1:
                dims += self.integers(one)
            elif one.number == 2 and one.wire == VARINT:
                kind = one.value
            elif one.number in (4, 5, 6, 7, 9, 10, 11):
                stored += one.end - one.start
                raw = raw or one.number == 9
            elif one.number == 8:
                name = text(self.source, one, 80)
            elif one.number == 13:
                external |= self.entry(one)
        declared = _count(dims) * _BITS.get(kind, 0) // 8
        if external:
            self.external(name, external, declared)
        elif (raw and stored != -(-_count(dims) * _BITS.get(kind, 0) // 8)) or (
            declared > DECLARED_FLOOR and declared > 16 * stored
        ):
            self.reasons.append(f"tensor {name!r} declares {declared} bytes and has {stored}")
        return declared, stored

    def sparse(self, place: Field) -> None:
        dims: list[int] = []
        stored = 0
        for one in fields(self.source, place.start, place.end):
            if one.number in (1, 2) and one.wire == BYTES:
                stored += self.tensor(one)[1]
            elif one.number == 3:
                dims += self.integers(one)
        if _count(dims) > DECLARED_FLOOR and _count(dims) > 1000 * stored:
            self.reasons.append(f"a sparse tensor of {_count(dims)} elements, given by {stored} bytes")

    def integers(self, place: Field) -> list[int]:
        if place.wire == VARINT:
            return [place.value]
        # Packed: the same numbers without tags. Read as one-byte-at-a-time varints.
        values, value, shift = [], 0, 0
        for byte in self.source.near(place.start, min(place.end - place.start, 4096)):
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                values.append(value)
                value = shift = 0
        return values

    def entry(self, place: Field) -> dict[str, str]:
        parts = {one.number: text(self.source, one) for one in fields(self.source, place.start, place.end)}
        return {parts.get(1, ""): parts.get(2, "")}

    def external(self, name: str, entry: dict[str, str], declared: int) -> None:
        location = entry.get("location", "")
        if why := unsafe_location(location):
            self.reasons.append(f"external data of {name!r} at {location!r}, {why}")
            return
        try:
            offset, length = int(entry.get("offset", "0")), int(entry.get("length", declared))
        except ValueError:
            self.reasons.append(f"external data of {name!r} with an offset or length that is no number")
            return
        file = self.source.path.parent / location
        if offset < 0 or length < 0 or (entry.get("length") and length != declared):
            self.reasons.append(
                f"external data of {name!r} at offset {offset} with {length} of {declared} bytes"
            )
        elif file.is_symlink() or (file.exists() and not file.is_file()):
            self.reasons.append(f"external data of {name!r} behind a link")
        elif file.is_file() and offset + length > file.stat().st_size:
            self.reasons.append(f"external data of {name!r} beyond the end of {location!r}")


def audit_onnx(source: Source) -> list[str]:
    """Reasons against an ONNX model."""
    audit = _Audit(source)
    try:
        audit.model()
    except BrokenFileError as error:
        audit.reasons.append(f"ONNX that does not parse: {error}")
    return audit.reasons[:50]


def external_files(source: Source) -> tuple[str, ...]:
    """The locations of all external data of a model, as the model gives them; raises `BrokenFileError`."""
    audit = _Locations(source)
    audit.model()
    return tuple(sorted(audit.locations))


class _Locations(_Audit):
    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.locations: set[str] = set()

    def external(self, name: str, entry: dict[str, str], declared: int) -> None:
        self.locations.add(entry.get("location", ""))


def unsafe_location(location: str) -> str | None:
    """Why a location of external data may not be followed; None where it lies beside the model."""
    path = PurePosixPath(location)
    if not location:
        return "which names no file"
    if (
        path.is_absolute()
        or "\\" in location
        or "\0" in location
        or Path(location).drive
        or "://" in location
    ):
        return "which is no relative path"
    return "which leads out of its folder" if ".." in path.parts else None


def _expanded(body: _Body, functions: dict[Key, _Body], sizes: dict[Key, int], path: tuple[Key, ...]) -> int:
    if len(path) > MAX_DEPTH:
        raise BrokenFileError(f"functions nested more than {MAX_DEPTH} deep")
    total = body.nodes
    for key in body.calls:
        if key not in functions:
            continue
        if key in path:
            raise BrokenFileError(f"the function {key[1]!r} calls itself")
        if key not in sizes:
            sizes[key] = _expanded(functions[key], functions, sizes, (*path, key))
        total += sizes[key]
    return total


def _count(dims: list[int]) -> int:
    total = 1
    for size in dims:
        total *= size
    return total
