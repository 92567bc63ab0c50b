"""Pickle opcodes one at a time, without running them.

The arguments are read by the readers of `pickletools`, except for two kinds: long literals, which
are passed over instead of kept, and the names of GLOBAL and INST, which `pickletools` joins with a
space and so cannot tell ``"os system"`` from ``"os", "system"``.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from functools import partial
from typing import Any

from zoo.detection.source import KEEP, BrokenFileError, Elided, Tape

Reader = Callable[[Tape], Any]

# Argument descriptor → (bytes of its length field, signed, how the content is decoded).
_LENGTHS: dict[str, tuple[int, bool, str]] = {
    "string1": (1, False, "latin-1"),
    "string4": (4, True, "latin-1"),
    "bytes1": (1, False, ""),
    "bytes4": (4, False, ""),
    "bytes8": (8, False, ""),
    "bytearray8": (8, False, ""),
    "unicodestring1": (1, False, "utf-8"),
    "unicodestring4": (4, False, "utf-8"),
    "unicodestring8": (8, False, "utf-8"),
    "long1": (1, False, "long"),
    "long4": (4, True, "long"),
}


_NUMBERS = {"uint1": (1, False), "uint2": (2, False), "uint4": (4, False), "int4": (4, True)}


def read_opcode(tape: Tape) -> tuple[str, Any]:
    """The name and argument of the next opcode; raises `BrokenFileError`."""
    code = tape.take(1)
    entry = _TABLE.get(code)
    if entry is None:
        raise BrokenFileError(f"byte 0x{code.hex()} at {tape.position - 1} is no pickle opcode")
    name, read = entry
    return name, None if read is None else read(tape)


def _name(tape: Tape) -> str:
    line = tape.readline()
    if not line.endswith(b"\n"):
        raise BrokenFileError(f"a name without an end at {tape.position}")
    try:
        return line[:-1].decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenFileError(f"a name that is not UTF-8 at {tape.position}") from error


def _names(tape: Tape) -> tuple[str, str]:
    return _name(tape), _name(tape)


def _number(width: int, signed: bool, tape: Tape) -> int:
    return int.from_bytes(tape.take(width), "little", signed=signed)


def _simple(info: pickletools.OpcodeInfo, tape: Tape) -> Any:
    assert info.arg is not None
    try:
        return info.arg.reader(tape)  # type: ignore[arg-type]
    except BrokenFileError:
        raise
    except (ValueError, IndexError) as error:
        raise BrokenFileError(f"{info.name} at {tape.position}: {error}") from error


def _literal(width: int, signed: bool, decoding: str, tape: Tape) -> Any:
    length = int.from_bytes(tape.take(width), "little", signed=signed)
    if length < 0:
        raise BrokenFileError(f"a length of {length} at {tape.position}")
    if length > KEEP:
        return tape.pass_over(length)
    data = tape.take(length)
    try:
        return _decode(data, decoding)
    except UnicodeDecodeError as error:
        raise BrokenFileError(f"text that is not UTF-8 at {tape.position}") from error


def _decode(data: bytes, decoding: str) -> Any:
    if decoding == "long":
        return int.from_bytes(data, "little", signed=True)
    if not decoding:
        return data
    return data.decode(decoding, "surrogatepass" if decoding == "utf-8" else "strict")


def _reader(info: pickletools.OpcodeInfo) -> Reader | None:
    if info.arg is None:
        return None
    if info.name in ("GLOBAL", "INST"):
        return _names
    if info.arg.name in _LENGTHS:
        return partial(_literal, *_LENGTHS[info.arg.name])
    if info.arg.name in _NUMBERS:
        return partial(_number, *_NUMBERS[info.arg.name])
    return partial(_simple, info)


_TABLE = {info.code.encode("latin-1"): (info.name, _reader(info)) for info in pickletools.opcodes}
__all__ = ["Elided", "read_opcode"]
