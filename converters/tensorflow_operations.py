"""Operations that tf2onnx leaves in the graph unmapped, expressed in ONNX.

Handlers take tf2onnx's ``(graph, node, name, args)`` and replace `node` by ONNX nodes of the same
output. Formulas are those of the operations' definitions in TensorFlow's API.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Mapping

Handler = Callable[[Any, Any, str, Any], Any]


def handlers(tables: Mapping[bytes, Any] | None = None) -> dict[str, tuple[Handler, list[str]]]:
    """TensorFlow operation → handler, in the form that tf2onnx's ``custom_op_handlers`` takes.

    `tables` maps the shared names of lookup tables to their keys and values.
    """
    known: dict[str, Handler] = {
        "Erfc": erfc,
        "Expm1": expm1,
        "Log1p": log1p,
        "Xlogy": xlogy,
        "Xdivy": xdivy,
        "Bucketize": bucketize,
        "LookupTableFindV2": partial(lookup, tables or {}),
    }
    return {name: (handler, []) for name, handler in known.items()}


def erfc(graph: Any, node: Any, name: str, args: Any) -> Any:
    """``erfc(x) = 1 - erf(x)``; exact GELU is ``x/2 · erfc(-x/√2)``."""
    build = _replacing(graph, node)
    return build.last("Sub", build.constant(1), build.node("Erf", node.input[0]))


def expm1(graph: Any, node: Any, name: str, args: Any) -> Any:
    """``exp(x) - 1``, the negative side of CELU, by ``2 t / (1 - t)`` with ``t = tanh(x / 2)`` near zero.

    Of x = 0.0005 the difference alone keeps three digits of seven.
    """
    build = _replacing(graph, node)
    x, one = node.input[0], build.constant(1)
    half = build.node("Tanh", build.node("Div", x, build.constant(2)))
    near = build.node("Div", build.node("Add", half, half), build.node("Sub", one, half))
    far = build.node("Sub", build.node("Exp", x), one)
    return build.last("Where", build.node("Less", build.node("Abs", x), one), near, far)


def log1p(graph: Any, node: Any, name: str, args: Any) -> Any:
    """``log(1 + x)``, scaled by what the sum lost of x: W. Kahan's way, HP-15C Advanced Functions, p. 193."""
    build = _replacing(graph, node)
    x, one = node.input[0], build.constant(1)
    total = build.node("Add", x, one)
    kept = build.node("Sub", total, one)
    logarithm = build.node("Log", total)
    scaled = build.node("Mul", logarithm, build.node("Div", x, kept))
    lost = build.node("Where", build.node("Equal", kept, build.constant(0)), x, scaled)
    return build.last("Where", build.node("Equal", kept, x), logarithm, lost)


def xlogy(graph: Any, node: Any, name: str, args: Any) -> Any:
    """``x · log(y)``, and 0 where x is 0, even for y = 0."""
    build = _replacing(graph, node)
    x, y = node.input
    return _zero_where_zero(build, x, build.node("Mul", x, build.node("Log", y)))


def xdivy(graph: Any, node: Any, name: str, args: Any) -> Any:
    """``x / y``, and 0 where x is 0, even for y = 0."""
    build = _replacing(graph, node)
    x, y = node.input
    return _zero_where_zero(build, x, build.node("Div", x, y))


def bucketize(graph: Any, node: Any, name: str, args: Any) -> Any:
    """The number of `boundaries` that are at most x: Keras's Discretization."""
    from onnx import TensorProto

    build = _replacing(graph, node)
    boundaries = node.get_attr_value("boundaries")
    column = build.node("Unsqueeze", node.input[0], build.constant([-1], "int64"))
    edges = build.constant(boundaries, graph.get_dtype(node.input[0]))
    reached = build.node("Cast", build.node("GreaterOrEqual", column, edges), to=TensorProto.INT32)
    return build.last("ReduceSum", reached, build.constant([-1], "int64"), keepdims=0)


def lookup(tables: Mapping[bytes, Any], graph: Any, node: Any, name: str, args: Any) -> Any:
    """A static table as a LabelEncoder; tf2onnx has only text ↔ int64, and Keras also looks up integers."""
    table = node.inputs[0]
    while table.type == "Identity":
        table = table.inputs[0]
    keys, values = tables[table.get_attr_value("shared_name")]
    default = node.inputs[2].get_tensor_value(as_list=False)
    attributes = {
        **_label_attribute("keys", keys),
        **_label_attribute("values", values),
        **_label_attribute("default", default),
    }
    build = _replacing(graph, node)
    if not graph.find_output_consumers(table.output[0]):
        graph.remove_node(table.name)
    return build.last("LabelEncoder", node.input[1], domain="ai.onnx.ml", **attributes)


def _label_attribute(name: str, values: Any) -> dict[str, Any]:
    kinds = {"f": ("float", float), "i": ("int64", int)}
    kind, cast = kinds.get(values.dtype.kind, ("string", _text))
    if name == "default":
        return {f"default_{kind}": cast(values.item())}
    return {f"{name}_{kind}s": [cast(value) for value in values.ravel()]}


def _text(value: Any) -> str:
    return str(value.decode("utf-8") if isinstance(value, bytes) else value)


def _zero_where_zero(build: _Replacement, x: str, value: str) -> Any:
    zero = build.constant(0)
    return build.last("Where", build.node("Equal", x, zero), zero, value)


def _replacing(graph: Any, node: Any) -> _Replacement:
    replacement = _Replacement(graph, node)
    graph.remove_node(node.name)
    return replacement


class _Replacement:
    """Builds the nodes that take the place of one node, ending in its output."""

    def __init__(self, graph: Any, node: Any) -> None:
        self._graph = graph
        self._output = node.output[0]
        self._dtype = graph.get_dtype(self._output)
        self._shape = graph.get_shape(self._output)

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A constant of the output's dtype, or of a numpy or ONNX one."""
        import numpy as np
        from tf2onnx.utils import make_name, map_onnx_to_numpy_type

        kind = dtype if isinstance(dtype, str) else map_onnx_to_numpy_type(dtype or self._dtype)
        return str(self._graph.make_const(make_name("constant"), np.array(value, kind)).output[0])

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node in between; ONNX infers its dtype and shape."""
        return str(self._graph.make_node(kind, list(inputs), attr=attributes).output[0])

    def last(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> Any:
        """The node that gives the replaced one's output."""
        return self._graph.make_node(
            kind,
            list(inputs),
            attr=attributes,
            domain=domain,
            outputs=[self._output],
            dtypes=[self._dtype],
            shapes=[self._shape],
        )
