"""Operators whose ONNX kernels lose what their source's kernels keep, in others that keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from converters.onnx_tidy import graphs

if TYPE_CHECKING:
    import onnx

_ALPHA = {"Elu": 1.0, "Celu": 1.0, "Selu": 1.67326319217681884765625}
_GAMMA = 1.05070102214813232421875
"""The constants of the ONNX specification, https://onnx.ai/onnx/operators/."""


def keep_small_exponentials(model: onnx.ModelProto) -> None:
    """Write Elu, Selu and Celu, in place, so that they are right to the last bits near zero too.

    Their kernels compute ``exp(x) - 1``, as TensorFlow's do: of x = -0.0005 three digits of seven are left,
    and layers without a bias show it. PyTorch computes ``expm1(x)``, here ``2 t / (1 - t)`` of
    ``t = tanh(x / 2)``.
    """
    dtypes: Optional[dict[str, int]] = None
    for graph in graphs(model.graph):
        if any(node.op_type in _ALPHA and not node.domain for node in graph.node):
            dtypes = _dtypes(model) if dtypes is None else dtypes
            _rewrite(graph, dtypes)


def _dtypes(model: onnx.ModelProto) -> dict[str, int]:
    """The element type of every value that inference knows."""
    from onnx import shape_inference

    if model.ByteSize() >= 2**31:  # protobuf's limit, and so that of the inference
        return {}
    inferred = shape_inference.infer_shapes(model)
    return {
        value.name: value.type.tensor_type.elem_type
        for graph in graphs(inferred.graph)
        for value in [*graph.input, *graph.value_info, *graph.output]
    }


def _rewrite(graph: Any, dtypes: dict[str, int]) -> None:
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        dtype = dtypes.get(node.input[0]) if node.op_type in _ALPHA and not node.domain else None
        graph.node.extend([node] if dtype is None else _expanded(node, dtype))


def _expanded(node: Any, dtype: int) -> list[Any]:
    from onnx import helper

    set_to = {attribute.name: attribute.f for attribute in node.attribute}
    alpha, gamma = set_to.get("alpha", _ALPHA[node.op_type]), 1.0
    if node.op_type == "Selu":
        gamma = set_to.get("gamma", _GAMMA)
    made: list[Any] = []

    def add(kind: str, *inputs: str, to: str = "") -> str:
        output = to or f"{node.output[0]}_{kind}_{len(made)}"
        made.append(helper.make_node(kind, inputs, [output], name=f"{node.name or output}_{len(made)}"))
        return output

    def constant(number: float) -> str:
        output = f"{node.output[0]}_constant_{len(made)}"
        value = helper.make_tensor(output, dtype, [], [number])
        made.append(helper.make_node("Constant", [], [output], value=value))
        return output

    x, zero, two = node.input[0], constant(0.0), constant(2.0)
    scale = constant(alpha) if node.op_type == "Celu" else None
    below = add("Min", x, zero)
    t = add("Tanh", add("Div", add("Div", below, scale) if scale else below, two))
    expm1 = add("Div", add("Mul", t, two), add("Sub", constant(1.0), t))
    left = expm1 if gamma * alpha == 1 else add("Mul", expm1, constant(gamma * alpha))
    above = add("Max", x, zero)
    right = above if gamma == 1 else add("Mul", above, constant(gamma))
    add("Add", left, right, to=node.output[0])
    return made
