"""Programs of Paddle and symbols of MXNet: no operation may reach files, code or other machines.

Paddle's must be on ``paddle_ops.txt``. MXNet's operations only compute, but for the few that are named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from zoo.detection.protobuf import BYTES, fields, text
from zoo.detection.source import BrokenFileError, Source, parse_json

CEILING = 256 << 20
"""Bytes of JSON that are read; programs without their parameters have a few megabytes."""
_MXNET = frozenset({"Custom", "_CustomFunction", "_Native", "_NDArray", "_cvimread", "_TensorRT"})
_DIALECTS = ("0", "1")
"""What PIR's JSON writes for the language itself, and for Paddle's own operations."""


def audit_paddle(path: Path) -> list[str]:
    """Reasons against a program: a ProgramDesc, or PIR as JSON."""
    try:
        with Source.open(path) as source:
            is_json = source.head.lstrip()[:1] == b"{"
            names = set(_pir(_json(source)) if is_json else _description(source))
    except BrokenFileError as error:
        return [f"a program that does not parse: {error}"]
    unknown = (name for name in sorted(names) if not {name, name.rstrip("_")} & _computing())
    return [f"the operation {name!r}" for name in unknown]


def audit_mxnet(path: Path) -> list[str]:
    """Reasons against a symbol."""
    try:
        with Source.open(path) as source:
            names = set(_symbol(_json(source), 0))
    except BrokenFileError as error:
        return [f"a symbol that does not parse: {error}"]
    return [f"the operation {name!r}" for name in sorted(names & _MXNET)]


@lru_cache(maxsize=1)
def _computing() -> frozenset[str]:
    lines = Path(__file__).with_name("paddle_ops.txt").read_text().splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _json(source: Source) -> Any:
    if source.size > CEILING:
        raise BrokenFileError(f"{source.size} bytes of JSON")
    return parse_json(source.read(0, source.size))


def _pir(program: Any) -> Iterator[str]:
    """The names of all operations; those of another dialect with its number in front."""
    left = [program]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            kind = value.get("#")
            if isinstance(kind, str) and isinstance(value.get("O"), list):
                dialect, _, name = kind.partition(".")
                yield name if dialect in _DIALECTS else kind
            left += value.values()
        elif isinstance(value, list):
            left += value


def _description(source: Source) -> Iterator[str]:
    """The types of the operations (field 4, their field 3) of every block (field 1)."""
    for block in fields(source):
        inside = fields(source, block.start, block.end) if (block.number, block.wire) == (1, BYTES) else ()
        for operation in inside:
            if (operation.number, operation.wire) == (4, BYTES):
                parts: Iterable[Any] = fields(source, operation.start, operation.end)
                yield from (text(source, part) for part in parts if part.number == 3)


def _symbol(graph: Any, depth: int) -> Iterator[str]:
    nodes = graph.get("nodes") if isinstance(graph, dict) else None
    if not isinstance(nodes, list) or depth > 50:
        raise BrokenFileError("no list of nodes")
    for node in nodes:
        yield str(node.get("op")) if isinstance(node, dict) else ""
        for inner in node.get("subgraphs", ()) if isinstance(node, dict) else ():
            yield from _symbol(inner, depth + 1)
