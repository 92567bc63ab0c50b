"""Layers that MXNet's exporter writes as others, put right: without an error they give other numbers.

- A batch normalisation with ``fix_gamma``, the default of symbols, scales by 1, whatever gamma is stored.
- A local response normalisation without a stated ``knorm`` has 2, where the exporter writes 1.
- An L2 normalisation adds ``eps`` to the sum of squares, which ONNX's LpNormalization does not.

And the loss layers at a symbol's end, which the exporter loses count over, become what they answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Mapping

from converters.mxnet_files import MXNetFiles, attributes
from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import onnx


def without_losses(files: MXNetFiles) -> str:
    """The symbol's JSON with every loss layer as the function that it answers with."""
    graph = {**files.graph, "nodes": [_answering(node) for node in files.nodes]}
    return json.dumps(graph)


def _answering(node: dict[str, Any]) -> dict[str, Any]:
    stated = attributes(node)
    if node.get("op") == "SoftmaxOutput":
        over_channels = stated.get("multi_output", "False") in ("True", "1")
        return _function(node, "softmax", {"axis": "1" if over_channels else "-1"})
    name = _ANSWERS.get(node.get("op", ""))
    return node if name is None else _function(node, name, {})


_ANSWERS = {
    "LogisticRegressionOutput": "sigmoid",
    "LinearRegressionOutput": "_copy",
    "MAERegressionOutput": "_copy",
}


def _function(node: dict[str, Any], op: str, stated: dict[str, str]) -> dict[str, Any]:
    return {"op": op, "name": node["name"], "attrs": stated, "inputs": node["inputs"][:1]}


def with_fixed_gammas(files: MXNetFiles, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """`parameters` with 1 for every gamma that its layer does not read."""
    fixed = dict(parameters)
    for node in files.nodes:
        if node.get("op") == "BatchNorm" and attributes(node).get("fix_gamma", "True") in ("True", "1"):
            gamma = files.nodes[node["inputs"][1][0]]["name"]
            fixed[gamma] = parameters[gamma].ones_like()
    return fixed


def cured(model: onnx.ModelProto, files: MXNetFiles) -> None:
    """Correct `model`, which came from the symbol of `files`.

    Raises `UnsupportedModelError` where the graph has another number of these layers than the symbol.
    """
    for node, stated in _pairs(model, files, "LRN", "LRN"):
        bias = next(attribute for attribute in node.attribute if attribute.name == "bias")
        bias.f = float(stated.get("knorm", "2"))
    pairs = _pairs(model, files, "LpNormalization", "L2Normalization")
    for number, (node, stated) in enumerate(pairs):
        _replace(model.graph, node, float(stated.get("eps", "1e-10")), f"zoo_l2_{number}")


def _pairs(model: onnx.ModelProto, files: MXNetFiles, kind: str, layer: str) -> list[tuple[Any, Any]]:
    nodes = [node for node in model.graph.node if node.op_type == kind]
    stated = [attributes(node) for node in files.nodes if node.get("op") == layer]
    if len(nodes) != len(stated):
        raise UnsupportedModelError(
            f"the symbol has {len(stated)} layers {layer}, the exporter's graph {len(nodes)} nodes {kind}"
        )
    return list(zip(nodes, stated))


def _replace(graph: onnx.GraphProto, node: Any, eps: float, name: str) -> None:
    """x / √(Σx² + eps) in place of `node`."""
    import numpy as np
    from onnx import helper, numpy_helper

    x, y = node.input[0], node.output[0]
    axis = next(int(attribute.i) for attribute in node.attribute if attribute.name == "axis")
    graph.initializer.append(numpy_helper.from_array(np.array([axis], np.int64), f"{name}_axis"))
    graph.initializer.append(numpy_helper.from_array(np.float32(eps), f"{name}_eps"))
    steps = [
        helper.make_node("Mul", [x, x], [f"{name}_squares"]),
        _sum(f"{name}_squares", f"{name}_axis", f"{name}_sum"),
        helper.make_node("Add", [f"{name}_sum", f"{name}_eps"], [f"{name}_above"]),
        helper.make_node("Sqrt", [f"{name}_above"], [f"{name}_norm"]),
        helper.make_node("Div", [x, f"{name}_norm"], [y]),
    ]
    kept = [one for other in graph.node for one in (steps if other.output[0] == y else [other])]
    copies = [type(one).FromString(one.SerializeToString()) for one in kept]
    del graph.node[:]
    graph.node.extend(copies)


def _sum(x: str, axis: str, y: str) -> Any:
    from onnx import helper

    return helper.make_node("ReduceSum", [x, axis], [y], keepdims=1)
