"""Operations that tf2onnx leaves in the graph unmapped, expressed in ONNX.

Handlers take tf2onnx's ``(graph, node, name, args)`` and replace `node` by ONNX nodes.
"""

from __future__ import annotations

from typing import Any, Callable


def handlers() -> dict[str, tuple[Callable[..., Any], list[str]]]:
    """TensorFlow operation → handler, in the form that tf2onnx's ``custom_op_handlers`` takes."""
    return {"Erfc": (erfc, []), "Expm1": (expm1, [])}


def erfc(graph: Any, node: Any, name: str, args: Any) -> Any:
    """``erfc(x) = 1 - erf(x)``: exact GELU is ``x/2 * erfc(-x/√2)``."""
    return _replaced(graph, node, lambda x, one: [("Erf", [x]), ("Sub", [one, -1])])


def expm1(graph: Any, node: Any, name: str, args: Any) -> Any:
    """``expm1(x) = exp(x) - 1``: the negative side of CELU."""
    return _replaced(graph, node, lambda x, one: [("Exp", [x]), ("Sub", [-1, one])])


def _replaced(graph: Any, node: Any, steps: Callable[[str, str], list[tuple[str, list[Any]]]]) -> Any:
    """Replace a unary node by a chain of `steps`, in which ``-1`` is the output of the step before."""
    import numpy as np
    from tf2onnx.utils import make_name, map_onnx_to_numpy_type

    (x,), output = node.input, node.output[0]
    dtype, shape = graph.get_dtype(output), graph.get_shape(output)
    one = graph.make_const(make_name("one"), np.array(1, map_onnx_to_numpy_type(dtype))).output[0]
    chain = steps(x, one)
    graph.remove_node(node.name)
    last = x
    for index, (kind, inputs) in enumerate(chain):
        names = [last if item == -1 else item for item in inputs]
        outputs = [output] if index == len(chain) - 1 else None
        made = graph.make_node(kind, names, outputs=outputs, dtypes=[dtype], shapes=[shape])
        last = made.output[0]
    return made
