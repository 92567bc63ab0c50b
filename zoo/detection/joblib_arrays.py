"""The size of the raw arrays that joblib writes between the opcodes of a pickle."""

from __future__ import annotations

from typing import Any

from zoo.detection.pickle_values import Made, Pairs
from zoo.detection.source import BrokenFileError


def count(shape: Any) -> int:
    """The number of elements of a described shape; raises `BrokenFileError`."""
    total = 1
    for size in shape if isinstance(shape, tuple) else (None,):
        size = _integer(size)
        if size is None or size < 0:
            raise BrokenFileError(f"an array with the shape {shape!r:.100}")
        total *= size
    return total


def _integer(value: Any) -> int | None:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Made) and isinstance(value.args, tuple) and len(value.args) == 2:
        raw = value.args[1]  # numpy.core.multiarray.scalar(dtype, bytes)
        raw = raw.encode("latin-1", "replace") if isinstance(raw, str) else raw
        return int.from_bytes(raw, "little", signed=True) if isinstance(raw, bytes) else None
    return None


def itemsize(dtype: Any) -> int:
    """Bytes of an element of a described numpy dtype, such as ``f8``, ``V64``, ``U10``."""
    code = _code(dtype)
    digits = code[1:]
    if not digits.isdigit():
        raise BrokenFileError(f"an array of the unknown dtype {code!r:.40}")
    return int(digits) * (4 if code[0] == "U" else 1)


def has_objects(dtype: Any) -> bool:
    """Whether elements are, or hold, Python objects."""
    code = _code(dtype)
    if code.startswith("O"):
        return True
    states = dtype.states if isinstance(dtype, Made) else []
    fields = [
        part for state in states if isinstance(state, tuple) for part in state if isinstance(part, Pairs)
    ]
    inner = [value[0] for pairs in fields for _, value in pairs.items() if isinstance(value, tuple) and value]
    return any(isinstance(item, Made) and has_objects(item) for item in inner)


def _code(dtype: Any) -> str:
    if isinstance(dtype, Made) and dtype.cls and dtype.cls.name == "dtype" and isinstance(dtype.args, tuple):
        code = dtype.args[0] if dtype.args else None
        code = code.decode("latin-1") if isinstance(code, bytes) else code
        if isinstance(code, str) and code:
            return code.lstrip("|<>=")
    raise BrokenFileError("an array whose dtype is not written out")
