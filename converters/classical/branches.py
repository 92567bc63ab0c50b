"""Parts of a graph that run only where they are needed: the body of an If, written in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Sequence

if TYPE_CHECKING:
    import onnx

    from converters.classical.graph import Graph, Value

Made = Callable[[], Sequence["Value"]]


def branch(graph: Graph, condition: Value, made: Made, other: Made) -> tuple[Value, ...]:
    """`made()` where `condition` (a boolean of one element) holds, else `other()`; only one is computed.

    Both may use any value that was written before.
    """
    bodies: list[onnx.GraphProto] = []
    dtypes: tuple[str, ...] = ()
    for write in (made, other):
        with graph.aside() as nodes:
            results = [graph.op("Identity", value) for value in write()]
        dtypes = tuple(value.dtype for value in results)
        bodies.append(_body(nodes, results))
    return graph.ops("If", condition, dtypes=dtypes, then_branch=bodies[0], else_branch=bodies[1])


def _body(nodes: list[onnx.NodeProto], results: Sequence[Value]) -> onnx.GraphProto:
    """The nodes that the results depend on, as a graph of its own."""
    from onnx import helper

    outputs = [helper.make_tensor_value_info(value.name, _code(value.dtype), None) for value in results]
    return helper.make_graph(nodes, f"branch_{results[0].name}", [], outputs)


def _code(dtype: str) -> int:
    import numpy as np
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(object if dtype == "string" else dtype)))
