"""The size of the raw arrays that joblib writes between the opcodes of a pickle.

Whoever gets this size wrong reads data as opcodes, or opcodes as data: a pickle that makes two readers
disagree hides what it does from one of them. So only what joblib itself writes is accepted.
"""

from __future__ import annotations

import math
from typing import Any

from zoo.detection.pickle_values import Global, Made, Pairs
from zoo.detection.source import BrokenFileError

_LETTERS = "biufcmMOSUV"
_FLEXIBLE = "SUV"
_ELEMENT_SIZE, _FLAGS = 5, 7  # places in the state of a dtype
_HAS_OBJECTS = 1


def count(shape: Any) -> int:
    """The number of elements of a described shape; raises `BrokenFileError`."""
    if not isinstance(shape, tuple):
        raise BrokenFileError("an array whose shape is not written out")
    return math.prod(_length(size) for size in shape)


def _length(value: Any) -> int:
    if isinstance(value, Made):
        value = _scalar(value)
    if not isinstance(value, int) or value < 0:
        raise BrokenFileError("an array whose shape is not written out")
    return int(value)


def _scalar(value: Made) -> int | None:
    """The integer of ``numpy.core.multiarray.scalar(dtype("i8"), bytes)``."""
    cls, args = value.cls, value.args
    if cls is None or cls.name != "scalar" or not isinstance(args, tuple) or len(args) != 2:
        return None
    raw = args[1].encode("latin-1", "replace") if isinstance(args[1], str) else args[1]
    little = _state(args[0])[1:2] in (("<",), ("|",), ("=",))
    if _code(args[0]) != "i8" or not little or not isinstance(raw, bytes) or len(raw) != 8:
        return None
    return int.from_bytes(raw, "little", signed=True)


def itemsize(dtype: Any) -> int:
    """Bytes of an element of a described numpy dtype, such as ``f8``, ``V64``, ``U10``."""
    code = _code(dtype)
    size = int(code[1:]) * (4 if code[0] == "U" else 1)
    if code[0] in _FLEXIBLE and _state(dtype)[_ELEMENT_SIZE : _ELEMENT_SIZE + 1] != (size,):
        raise BrokenFileError(f"an array of the dtype {code} whose state gives another size")
    return size


def has_objects(dtype: Any, depth: int = 0) -> bool:
    """Whether elements are, or hold, Python objects."""
    code, state = _code(dtype), _state(dtype)
    if code[0] != "V":
        return code[0] == "O"
    if depth > 20:
        raise BrokenFileError("a dtype nested too deeply")
    fields = [part for part in state if isinstance(part, Pairs)]
    values = [value for pairs in fields for _, value in pairs.items()]
    inner = any(has_objects(value[0], depth + 1) for value in values if isinstance(value, tuple) and value)
    flags = state[_FLAGS] if len(state) > _FLAGS else None
    # numpy believes the flags, not the fields.
    if not isinstance(flags, int) or bool(flags & _HAS_OBJECTS) != inner:
        raise BrokenFileError(f"an array of the dtype {code} whose state contradicts its fields")
    return inner


def _state(dtype: Any) -> tuple[Any, ...]:
    states = dtype.states if isinstance(dtype, Made) else []
    if len(states) != 1 or not isinstance(states[0], tuple):
        raise BrokenFileError("an array whose dtype has no state, or several")
    return states[0]


def _code(dtype: Any) -> str:
    if (
        isinstance(dtype, Made)
        and dtype.callable == Global("numpy", "dtype")
        and isinstance(dtype.args, tuple)
    ):
        code = dtype.args[0] if dtype.args else None
        code = code.decode("latin-1") if isinstance(code, bytes) else code
        if (
            isinstance(code, str)
            and code[:1]
            and code[0] in _LETTERS
            and code[1:].isascii()
            and code[1:].isdigit()
        ):
            return code
    raise BrokenFileError("an array whose dtype is not written out")
