"""HDF5: data that lies elsewhere, or that is declared and not there (CVE-2026-1669 and its like)."""

from __future__ import annotations

from zoo.detection.hdf5 import Dataset, Hdf5, Node
from zoo.detection.source import BrokenFileError, Source

MAX_NODES = 100_000
MAX_RATIO = 1000
RATIO_FLOOR = 16 << 20


def audit_hdf5(source: Source) -> list[str]:
    """Reasons against an HDF5 file, over all its groups and datasets."""
    try:
        tree = Hdf5(source)
        return _walk(tree)
    except BrokenFileError as error:
        return [f"HDF5 that does not parse: {error}"]


def _walk(tree: Hdf5) -> list[str]:
    reasons: list[str] = []
    todo, seen = [(tree.root, "/")], set()
    while todo:
        address, path = todo.pop()
        if address in seen:
            continue
        seen.add(address)
        if len(seen) > MAX_NODES:
            raise BrokenFileError(f"more than {MAX_NODES} objects")
        node = tree.node(address)
        reasons += _node(node, path)
        todo += [(link.address, f"{path}{link.name}/") for link in node.links if link.address is not None]
        if len(reasons) > 50:
            break
    return reasons


def _node(node: Node, path: str) -> list[str]:
    reasons = [f"HDF5 {path}: {oddity}" for oddity in node.oddities]
    reasons += [
        f"HDF5 {path}: a {link.kind} link {link.name!r}" for link in node.links if link.kind != "hard"
    ]
    if node.dataset is not None and (why := _dataset(node.dataset)):
        reasons.append(f"HDF5 {path}: {why}")
    return reasons


def _dataset(data: Dataset) -> str | None:
    if data.storage in ("compact", "contiguous"):
        if data.stored < data.declared:
            return f"declares {data.declared} bytes and has {data.stored}"
        return None
    if data.storage == "chunked":
        if data.declared > RATIO_FLOOR and data.declared > MAX_RATIO * data.stored:
            return f"declares {data.declared} bytes and has {data.stored} packed ones"
        return None
    return f"stored in the layout {data.storage!r}, which this reader does not follow"
