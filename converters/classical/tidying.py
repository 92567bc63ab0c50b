"""What is done to the nodes of a finished graph: names of outputs, and nodes that nothing needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator, Mapping

if TYPE_CHECKING:
    import onnx


def named_where_made(nodes: Iterable[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    """The nodes with each output named by the node that computes it, without an Identity behind that one.

    ONNX Runtime would run the Identity where something else reads the value too. Inputs, constants and
    values that are given twice keep theirs. Changes the nodes in place.
    """
    nodes = list(nodes)
    made = {name for node in nodes for name in node.output} - outputs
    names: dict[str, str] = {}
    kept = []
    for node in nodes:
        source, target = next(iter(node.input), ""), next(iter(node.output), "")
        if node.op_type == "Identity" and target in outputs and source in made and source not in names:
            names[source] = target
        else:
            kept.append(node)
    for node in kept:
        node.output[:] = [names.get(name, name) for name in node.output]
        _rename_read(node, names)
    return kept


def needed(nodes: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that an output depends on, in order, and the names of all that they read."""
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(_read(node))
    return kept[::-1], wanted


def domains_of(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """The operator sets of the nodes and of the bodies of their branches."""
    for node in nodes:
        yield node.domain
        for attribute in node.attribute:
            yield from domains_of(attribute.g.node)


def _read(node: onnx.NodeProto) -> Iterator[str]:
    """The names a node reads, those that the bodies of its branches take from outside included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _read(inner)


def _rename_read(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """New names for what a node reads, in the bodies of its branches too."""
    node.input[:] = [names.get(name, name) for name in node.input]
    for attribute in node.attribute:
        own = {name for inner in attribute.g.node for name in inner.output}
        own.update(value.name for value in attribute.g.input)
        outer = {old: new for old, new in names.items() if old not in own}
        for inner in attribute.g.node:
            _rename_read(inner, outer)
