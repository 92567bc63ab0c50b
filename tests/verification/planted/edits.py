"""Edits of ONNX graphs that keep them valid and make them wrong."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper


def copied(proto):
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    return result


def stored(proto, name):
    return next(tensor for tensor in proto.graph.initializer if tensor.name == name)


def array(proto, name):
    return numpy_helper.to_array(stored(proto, name)).copy()


def replace(proto, name, values):
    stored(proto, name).CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return proto


def nodes(proto, *op_types):
    found = [node for node in proto.graph.node if node.op_type in op_types]
    assert found, f"no {op_types} in {[node.op_type for node in proto.graph.node]}"
    return found


def attribute(node, name):
    return next((item for item in node.attribute if item.name == name), None)


def set_attribute(node, name, value):
    old = attribute(node, name)
    if old is not None:
        node.attribute.remove(old)
    node.attribute.append(helper.make_attribute(name, value))


def swap_outputs(proto):
    """Exchange the names of the first two outputs wherever they stand in nodes."""
    first, second = (output.name for output in proto.graph.output[:2])
    other = {first: second, second: first}
    for node in proto.graph.node:
        node.output[:] = [other.get(name, name) for name in node.output]
        node.input[:] = [other.get(name, name) for name in node.input]
    return proto


def insert_before(proto, node, *new):
    place = list(proto.graph.node).index(node)
    for offset, item in enumerate(new):
        proto.graph.node.insert(place + offset, item)
    return proto


def wrap_input(proto, node, index, *ops):
    """Send input `index` of `node` through `ops`, each ``(op_type, extra inputs, attributes)``."""
    current, made = node.input[index], []
    for i, (op_type, extra, attributes) in enumerate(ops):
        name = f"{node.output[0]}_wrapped_{i}"
        made.append(helper.make_node(op_type, [current, *extra], [name], **attributes))
        current = name
    node.input[index] = current
    return insert_before(proto, node, *made)


def maker(proto, name):
    """The node that makes a value."""
    return next(node for node in proto.graph.node if name in node.output)


def wrap_output(proto, node, *ops):
    """Send what `node` makes through `ops`, each ``(op_type, second input)``."""
    target = node.output[0]
    node.output[0] = f"{target}_bare"
    place = list(proto.graph.node).index(node)
    for i, (op_type, extra) in enumerate(ops):
        name = target if i == len(ops) - 1 else f"{target}_{i}"
        source = node.output[0] if i == 0 else f"{target}_{i - 1}"
        inputs = [extra, source] if op_type == "Gather" else [source, extra]
        proto.graph.node.insert(place + 1 + i, helper.make_node(op_type, inputs, [name]))
    return proto


def bypass(proto, node):
    """Take a node with one input and one output out of the graph."""
    source, target = node.input[0], node.output[0]
    if any(output.name == target for output in proto.graph.output):
        node.CopyFrom(helper.make_node("Identity", [source], [target]))
        return proto
    proto.graph.node.remove(node)
    _rename(proto.graph, target, source)
    return proto


def _rename(graph, old, new):
    """In the inputs of all nodes, subgraphs included."""
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        for item in node.attribute:
            _rename(item.g, old, new)


def add_constant(proto, name, values):
    proto.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return name


def changed_nodes(right, wrong):
    """Names of the nodes of `wrong` that are not in `right`, by operator, attributes, inputs and weights.

    A node that only computes constants stands for those that read them.
    """
    known = {key for _, key in _keys(right)}
    changed = {_name(node) for node, key in _keys(wrong) if key not in known}
    data = {value.name for value in wrong.graph.input}
    for node in wrong.graph.node:
        if data.intersection(node.input):
            data.update(node.output)
    for node in wrong.graph.node:  # in order, so that a chain of constants is followed
        constants = [n for n in wrong.graph.node if _name(n) in changed and not data.intersection(n.input)]
        if any(set(node.input).intersection(n.output) for n in constants):
            changed.add(_name(node))
    return changed


def _keys(proto):
    weights = {tensor.name: tensor.SerializeToString() for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        attributes = sorted(item.SerializeToString() for item in node.attribute)
        values = [weights.get(name, b"") for name in node.input]
        yield node, (node.op_type, *attributes, *node.input, *node.output, *values)


def _name(node):
    return node.name or node.output[0]
