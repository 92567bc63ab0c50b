"""The ``zoo.*`` metadata in an ONNX file: where it came from and what was proven.

A protobuf message may be continued by appending fields, so metadata is added to a file without
parsing it: field 14 of ``ModelProto`` (``metadata_props``), a message of key (1) and value (2).
https://protobuf.dev/programming-guides/encoding/#last-one-wins
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

_METADATA_PROPS = 14


def append_metadata(path: Path, metadata: Mapping[str, str]) -> None:
    """Add `metadata` to the ONNX file at `path`."""
    with path.open("ab") as file:
        for key, value in metadata.items():
            entry = _bytes_field(1, key.encode()) + _bytes_field(2, value.encode())
            file.write(_bytes_field(_METADATA_PROPS, entry))


def timestamp() -> str:
    """The time as ISO 8601 in UTC; ``SOURCE_DATE_EPOCH`` overrides the clock."""
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _bytes_field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
