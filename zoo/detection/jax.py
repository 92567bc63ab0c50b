"""JAX: Flax's msgpack files, Orbax folders, serialised exports. Read as far as it takes to know them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from zoo.detection.source import BrokenFileError, Source
from zoo.records import Detection

MOST_KEYS = 200
"""Keys that are read before a file without any array is taken for something else."""
ARRAYS = (1, 3)
"""Flax's extension types: an array, and a numpy scalar. A complex number is 2."""
STABLEHLO = b"ML\xefR\x0dStableHLO"


def flax_msgpack(source: Source) -> Detection | None:
    """A map of maps with text keys that ends in arrays of Flax's; None for any other msgpack."""
    first = source.head[:1]
    if not first or not (0x80 < first[0] <= 0x8F or first[0] in (0xDE, 0xDF)):
        return None
    reader = _Reader(source)
    if reader.first_array() is None:
        return None
    details: dict[str, Any] = {"keys": reader.top}
    return Detection("jax", "msgpack", "Flax parameters (msgpack)", details)


def exported(source: Source) -> Detection | None:
    """The flatbuffer of ``jax.export.Exported.serialize``: its program is StableHLO bytecode."""
    if STABLEHLO in source.head and struct.unpack("<I", source.head[:4].ljust(4, b"\0"))[0] < source.size:
        bare = source.head.startswith(b"ML\xefR")
        return Detection("jax", "export", f"{'StableHLO program' if bare else 'serialised jax.export'}")
    return None


def orbax(path: Path, names: list[str]) -> Detection | None:
    """An Orbax checkpoint, or the step of one that holds it in an item."""
    items = [path, *(path / name for name in ("default", "state", "params"))]
    for item in items:
        if (item / "_METADATA").is_file() and ((item / "manifest.ocdbt").is_file() or (item / "d").is_dir()):
            where = {} if item == path else {"item": item.name}
            return Detection("jax", "orbax", "Orbax checkpoint", where)
    return None


class _Reader:
    """The head of a msgpack file, as far as its first array. `top` are the keys of the outermost map."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._place = 0
        self.top: list[str] = []

    def first_array(self) -> list[str] | None:
        """The keys that lead to the first array; None where there is none among the first keys."""
        path: list[str] = []
        self._map_length()
        for _ in range(MOST_KEYS):
            key = self._text()
            if not path:
                self.top.append(key)
            path.append(key)
            kind = self._take(1)[0]
            if self._is_map(kind):
                self._place -= 1
                if self._map_length() == 0:
                    path.pop()
                continue
            if kind in (0xC7, 0xC8, 0xC9) or 0xD4 <= kind <= 0xD8:
                return path if self._extension(kind) in ARRAYS else None
            self._skip(kind)
            path.pop()
        return None

    def _is_map(self, kind: int) -> bool:
        return 0x80 <= kind <= 0x8F or kind in (0xDE, 0xDF)

    def _map_length(self) -> int:
        kind = self._take(1)[0]
        if 0x80 <= kind <= 0x8F:
            return kind & 0x0F
        if kind not in (0xDE, 0xDF):
            raise BrokenFileError(f"no map at {self._place}")
        return self._number(2 if kind == 0xDE else 4)

    def _text(self) -> str:
        kind = self._take(1)[0]
        widths = {0xD9: 1, 0xDA: 2, 0xDB: 4}
        if not (0xA0 <= kind <= 0xBF or kind in widths):
            raise BrokenFileError(f"no text at {self._place}")
        length = kind & 0x1F if kind <= 0xBF else self._number(widths[kind])
        if length > 1024:
            raise BrokenFileError(f"a key of {length} bytes")
        return self._take(length).decode("utf-8", "replace")

    def _extension(self, kind: int) -> int:
        if kind in (0xC7, 0xC8, 0xC9):
            self._number({0xC7: 1, 0xC8: 2, 0xC9: 4}[kind])
        return self._take(1)[0]

    def _skip(self, kind: int) -> None:
        """Pass over a number, a text or nothing: what a training state keeps before its arrays."""
        fixed = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
        fixed |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
        if kind <= 0x7F or kind >= 0xE0:
            return
        if 0xA0 <= kind <= 0xBF or kind in (0xD9, 0xDA, 0xDB):
            self._place -= 1
            self._text()
        elif kind in fixed:
            self._take(fixed[kind])
        else:
            raise BrokenFileError(f"a value of kind {kind:#x}")

    def _number(self, width: int) -> int:
        return int.from_bytes(self._take(width), "big")

    def _take(self, length: int) -> bytes:
        data = self._source.near(self._place, length) if length <= 4096 else b""
        if len(data) != length:
            raise BrokenFileError(f"{length} bytes at {self._place} lie outside the file")
        self._place += length
        return data
