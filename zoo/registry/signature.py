"""Tensors as text: ``name:dtype[batch,3,224,224]``, the inverse of ``str(TensorSpec)``."""

from __future__ import annotations

import re

from zoo.records import Dim, TensorSpec

DTYPES = frozenset(
    {"bool", "string", "float16", "float32", "float64", "bfloat16"}
    | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
)

_TENSOR = re.compile(r"(?P<name>.+):(?P<dtype>[a-z0-9]+)(\[(?P<shape>[^\[\]]*)\])?")


def parse_tensor(text: str) -> TensorSpec:
    """The tensor that `text` describes; raises ValueError with the reason.

    The name may hold colons (``images:0:float32[1,224,224,3]``). A dimension is a size or the
    name of a dynamic axis; no brackets or empty ones mean a scalar.
    """
    match = _TENSOR.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not of the form name:dtype[batch,3,224,224]")
    if match["dtype"] not in DTYPES:
        raise ValueError(
            f"unknown dtype {match['dtype']!r} in {text!r}; known are {', '.join(sorted(DTYPES))}"
        )
    parts = [part.strip() for part in match["shape"].split(",")] if match["shape"] else []
    return TensorSpec(match["name"], match["dtype"], tuple(_dim(part, text) for part in parts))


def _dim(part: str, text: str) -> Dim:
    if not part or part.startswith("-"):
        raise ValueError(f"{part!r} in {text!r} is neither a size nor the name of a dynamic axis")
    return int(part) if part.isdecimal() else part
