"""Binary formats without a magic number, told by their structure."""

from __future__ import annotations

import re
import struct
from typing import Any

from zoo.detection.pickled import xgboost_version
from zoo.detection.source import Source
from zoo.records import Detection

_OBJECTIVE = re.compile(rb"(binary|reg|multi|rank|count|survival|gpu):[a-z_]+$")
_PARAM = 136  # sizeof(LearnerModelParam) in every XGBoost that wrote this format


def xgboost_ubj(source: Source) -> Detection | None:
    """XGBoost's UBJSON: an object whose keys have lengths with a type byte."""
    if not re.match(rb"\{(L.{8}|[iU].|[Il].{1,4})(learner|Config|Model|version)", source.head, re.DOTALL):
        return None
    if b"learner" not in source.head[:4096]:
        return None
    tail = source.read(max(0, source.size - 4096), 4096)
    versions = xgboost_version(source.head[:4096]) or xgboost_version(tail)
    return Detection("xgboost", "ubj", "XGBoost model (UBJSON)", {"versions": versions})


def xgboost_binary(source: Source) -> Detection | None:
    """XGBoost's own binary format, removed in 3.1: a 136-byte struct, then the objective's name."""
    start = 4 if source.head[:4] in (b"binf", b"bs64") else 0
    name = _sized_text(source.head, start + _PARAM)
    if name is None or not _OBJECTIVE.match(name):
        return None
    booster = _sized_text(source.head, start + _PARAM + 8 + len(name)) or b""
    if not re.fullmatch(rb"gbtree|gblinear|dart", booster):
        return None
    base_score, features, classes = struct.unpack("<fIi", source.head[start : start + 12])
    details: dict[str, Any] = {
        "objective": name.decode(),
        "booster": booster.decode(),
        "features": features,
        "classes": classes,
        "base_score": base_score,
    }
    return Detection("xgboost", "binary_old", f"XGBoost model, old binary ({name.decode()})", details)


def paddle_params(source: Source) -> Detection | None:
    """PaddlePaddle's combined parameters: version, level of detail, version, size of a TensorDesc."""
    head = source.head[:32]
    if len(head) < 24 or struct.unpack("<IQI", head[:16]) != (0, 0, 0):
        return None
    size = struct.unpack("<i", head[16:20])[0]
    # TensorDesc: field 1 (data type) as a varint, then field 2 (dims).
    if not 2 <= size <= 256 or head[20] != 0x08 or head[22] not in (0x10, 0x12):
        return None
    return Detection("paddle", "pdiparams", "PaddlePaddle parameters")


def mnn(source: Source) -> Detection | None:
    """MNN: a flatbuffer without an identifier, whose name of the source framework or version shows it."""
    root = int.from_bytes(source.head[:4], "little")
    if not 8 <= root <= 256 or root + 4 > source.size:
        return None
    table = struct.unpack("<i", source.exactly(root, 4))[0]
    vtable = root - table
    if not 4 <= vtable < root:
        return None
    size, inline = struct.unpack("<HH", source.exactly(vtable, 4))
    if not 20 <= size <= 4 + 2 * 16 or not 8 <= inline <= 128:
        return None
    if _mnn_vector(source, root, vtable, size):
        return Detection("mnn", "model", "MNN model")
    return None


def _mnn_vector(source: Source, root: int, vtable: int, size: int) -> bool:
    # Field 3 of Net in MNN.fbs is oplists, a vector of tables; field 7 is tensorName, one of strings.
    found = []
    for index in (3, 7):
        place = vtable + 4 + 2 * index
        offset = struct.unpack("<H", source.exactly(place, 2))[0] if place + 2 <= vtable + size else 0
        if not offset:
            return False
        at = root + offset
        vector = at + struct.unpack("<I", source.exactly(at, 4))[0]
        if vector + 4 > source.size:
            return False
        found.append(struct.unpack("<I", source.exactly(vector, 4))[0])
    return all(0 < count < 1_000_000 and 4 * count < source.size for count in found)


def _sized_text(data: bytes, place: int) -> bytes | None:
    length = int.from_bytes(data[place : place + 8], "little")
    text = data[place + 8 : place + 8 + length]
    return text if 0 < length < 64 and len(text) == length else None
