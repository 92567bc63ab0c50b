"""TensorFlow graphs: every operation that a loader can reach must be one that only computes.

Each SavedModel has operations that write, in the part that saves its variables. They are no danger
as long as nothing that a loader runs leads to them, so a SavedModel is audited from its roots: the
outputs of its signatures, its initialisers, its restored functions. A bare graph is audited whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from zoo.detection.protobuf import BYTES, Field, fields, text
from zoo.detection.source import BrokenFileError, Source

_RESTORING = frozenset(
    {"RestoreV2", "Restore", "RestoreSlice", "ShardedFilename", "NoOp", "LookupTableImportV2"}
)
MAX_DEPTH = 50


@dataclass(slots=True)
class Node:
    """A node: its operation, the nodes it takes from, the functions it names."""

    op: str = ""
    inputs: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Graph:
    """A GraphDef: its nodes by name, and the nodes of each function of its library."""

    nodes: dict[str, Node] = field(default_factory=dict)
    library: dict[str, dict[str, Node]] = field(default_factory=dict)


def audit_graph(source: Source) -> list[str]:
    """Reasons against a frozen graph: all its nodes and functions."""
    try:
        graph = _graph(source, 0, source.size)
    except BrokenFileError as error:
        return [f"graph that does not parse: {error}"]
    return _audit(graph, graph.nodes, graph.library)


def audit_saved_model(source: Source) -> list[str]:
    """Reasons against a saved_model.pb, over all its meta graphs."""
    try:
        metas = [one for one in fields(source) if one.number == 2]
        return [reason for meta in metas for reason in _meta_graph(source, meta)]
    except BrokenFileError as error:
        return [f"SavedModel that does not parse: {error}"]


def audit_tflite(source: Source) -> list[str]:
    """Reasons against a TFLite file: TensorFlow operations in it ("Flex") that do more than compute."""
    named = set(re.findall(rb"Flex([A-Z]\w+)", source.read(0, source.size)))
    unknown = sorted(name.decode() for name in named if name.decode() not in _operations())
    return [f"the TensorFlow operation {name}" for name in unknown]


# --- audit --------------------------------------------------------------------------------------


def _meta_graph(source: Source, meta: Field) -> list[str]:
    parts: dict[int, list[Field]] = {}
    for one in fields(source, meta.start, meta.end):
        parts.setdefault(one.number, []).append(one)
    graph = Graph()
    for one in parts.get(2, ()):
        graph = _graph(source, one.start, one.end)
    roots = [name for one in parts.get(5, ()) for name in _signature_outputs(source, one)]
    roots += [name for one in parts.get(4, ()) for name in _initialisers(source, one)]
    restored = [name for one in parts.get(7, ()) for name in _concrete_functions(source, one)]
    restore = [name for one in parts.get(3, ()) for name in _strings(source, one, 3)]
    ran = _ancestors(graph, roots)
    reasons = _audit(graph, ran, restored)
    loading = {name: node for name, node in _ancestors(graph, restore).items() if name not in ran}
    return reasons + _audit(graph, loading, (), _RESTORING)


def _audit(
    graph: Graph, nodes: dict[str, Node], functions: Iterable[str], also: frozenset[str] = frozenset()
) -> list[str]:
    called = _called(graph, nodes, functions)
    bodies = [("", nodes), *((name, graph.library[name]) for name in called)]
    reasons = []
    for function, body in bodies:
        for name, node in body.items():
            if node.op not in _operations() and node.op not in graph.library and node.op not in also:
                where = f"{function}/{name}" if function else name
                reasons.append(f"the TensorFlow operation {node.op} ({where[:80]})")
    return reasons[:50]


def _called(graph: Graph, nodes: dict[str, Node], functions: Iterable[str]) -> list[str]:
    todo = [*functions, *(name for node in nodes.values() for name in (node.op, *node.functions))]
    seen: dict[str, None] = {}
    while todo:
        name = todo.pop()
        if name in seen or name not in graph.library:
            continue
        seen[name] = None
        todo += [other for node in graph.library[name].values() for other in (node.op, *node.functions)]
    return list(seen)


def _ancestors(graph: Graph, roots: Iterable[str]) -> dict[str, Node]:
    todo = [_node_name(root) for root in roots]
    seen: dict[str, Node] = {}
    while todo:
        name = todo.pop()
        if name in seen or name not in graph.nodes:
            continue
        seen[name] = graph.nodes[name]
        todo += [_node_name(one) for one in graph.nodes[name].inputs]
    return seen


def _node_name(tensor: str) -> str:
    return tensor.lstrip("^").partition(":")[0]


@lru_cache(maxsize=1)
def _operations() -> frozenset[str]:
    lines = Path(__file__).with_name("tensorflow_ops.txt").read_text().splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


# --- reading ------------------------------------------------------------------------------------


def _graph(source: Source, start: int, end: int) -> Graph:
    graph = Graph()
    for one in fields(source, start, end):
        if one.number == 1 and one.wire == BYTES:
            name, node = _node(source, one)
            graph.nodes[name] = node
        elif one.number == 2 and one.wire == BYTES:
            for function in fields(source, one.start, one.end):
                if function.number == 1 and function.wire == BYTES:
                    name, body = _function(source, function)
                    graph.library[name] = body
    return graph


def _function(source: Source, function: Field) -> tuple[str, dict[str, Node]]:
    name, body = "", {}
    for one in fields(source, function.start, function.end):
        if one.number == 1:
            name = next(iter(_strings(source, one, 1)), "")
        elif one.number == 3:
            node_name, node = _node(source, one)
            body[node_name] = node
    return name, body


def _node(source: Source, field: Field) -> tuple[str, Node]:
    name, node = "", Node()
    for one in fields(source, field.start, field.end):
        if one.number == 1:
            name = text(source, one)
        elif one.number == 2:
            node.op = text(source, one)
        elif one.number == 3:
            node.inputs.append(text(source, one))
        elif one.number == 5:
            node.functions += _functions_of_attribute(source, one)
    return name, node


def _functions_of_attribute(source: Source, entry: Field, depth: int = 0) -> list[str]:
    if depth > MAX_DEPTH:
        raise BrokenFileError("attributes nested too deeply")
    named: list[str] = []
    for value in (one for one in fields(source, entry.start, entry.end) if one.number == 2):
        for one in fields(source, value.start, value.end):
            if one.number == 10:
                named += _named(source, one, depth)
            elif one.number == 1 and one.wire == BYTES:
                for item in fields(source, one.start, one.end):
                    named += _named(source, item, depth) if item.number == 9 else []
    return named


def _named(source: Source, field: Field, depth: int) -> list[str]:
    named: list[str] = []
    for one in fields(source, field.start, field.end):
        if one.number == 1:
            named.append(text(source, one))
        elif one.number == 2:
            named += _functions_of_attribute(source, one, depth + 1)
    return named


def _strings(source: Source, field: Field, number: int) -> Iterator[str]:
    return (text(source, one) for one in fields(source, field.start, field.end) if one.number == number)


def _signature_outputs(source: Source, entry: Field) -> Iterator[str]:
    """Names of all tensors in the outputs of a signature: every string of a TensorInfo is one."""
    for signature in (one for one in fields(source, entry.start, entry.end) if one.number == 2):
        for output in (one for one in fields(source, signature.start, signature.end) if one.number == 2):
            for info in (one for one in fields(source, output.start, output.end) if one.number == 2):
                yield from _tensor_names(source, info)


def _tensor_names(source: Source, info: Field) -> Iterator[str]:
    for one in fields(source, info.start, info.end):
        if one.number == 1:
            yield text(source, one)
        elif one.number == 4:
            yield from (text(source, name) for name in fields(source, one.start, one.end))
        elif one.number == 5:
            for component in (inner for inner in fields(source, one.start, one.end) if inner.number == 2):
                yield from _tensor_names(source, component)


def _initialisers(source: Source, entry: Field) -> Iterator[str]:
    """Nodes of a collection; any collection, since loaders run several of them."""
    for value in (one for one in fields(source, entry.start, entry.end) if one.number == 2):
        for listed in (one for one in fields(source, value.start, value.end) if one.number == 1):
            yield from (text(source, one) for one in fields(source, listed.start, listed.end))


def _concrete_functions(source: Source, objects: Field) -> Iterator[str]:
    for one in fields(source, objects.start, objects.end):
        if one.number == 2:
            yield from _strings(source, one, 1)
