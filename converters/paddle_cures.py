"""Functions that paddle2onnx writes as others, or that Paddle's own kernels compute in a way of their own.

Each is found in the graph by its shape, and counted: where the program has another number of them than
the graph, the model is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Optional

from converters.paddle_programs import operations
from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import onnx

_SQRT_TWO, _SQRT_TWO_OVER_PI, _CUBE = 1.4142135623730951, 0.7978845608028654, 0.044715
_LOWEST_LOGIT = -64.0
"""Paddle's log_softmax on a CPU takes no logit to be further than this below the largest."""


def cured(model: onnx.ModelProto, program: Any) -> None:
    """Put GELU by tanh, hardtanh, logsigmoid and log_softmax right in `model`, which came from `program`.

    Raises `UnsupportedModelError` where they cannot be told from other parts of the graph.
    """
    _cure_gelus(model.graph, [op.attrs()["approximate"] for op in _all(program, "gelu")])
    limits = [(op.attrs()["t_min"], op.attrs()["t_max"]) for op in _all(program, "hardtanh")]
    _cure_hardtanhs(model.graph, limits)
    _cure_log_sigmoids(model.graph, len(_all(program, "logsigmoid")))
    _cure_log_softmaxes(model)


def _all(program: Any, name: str) -> list[Any]:
    return [operation for operation in operations(program) if operation.name() == f"pd_op.{name}"]


def _refuse_count(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise UnsupportedModelError(
            f"the program has {expected} {what}, the graph of paddle2onnx {found}: they cannot be told apart",
            hint="Keep them out of branches and loops.",
        )


def _cure_gelus(graph: onnx.GraphProto, approximate: list[bool]) -> None:
    """paddle2onnx writes every GELU by erf; one saved with ``approximate=True`` is by tanh."""
    if not any(approximate):
        return
    chains = list(_gelu_chains(graph))
    _refuse_count("GELUs", len(chains), len(approximate))
    for number, (chain, by_tanh) in enumerate(zip(chains, approximate)):
        if by_tanh:
            _replace(graph, chain, _tanh_gelu(chain[0].input[0], chain[-1].output[0], f"zoo_gelu_{number}"))


def _gelu_chains(graph: onnx.GraphProto) -> Iterator[list[Any]]:
    """Division by the root of two, erf, and the three nodes up to the product by a half."""
    constants = _constants(graph)
    for node in graph.node:
        divides = node.op_type == "Div" and abs(constants.get(node.input[1], 0.0) - _SQRT_TWO) < 1e-6
        chain = [node] if divides else []
        for kind in ("Erf", "Add", "Mul", "Mul") if divides else ():
            following = _only_reader(graph, chain[-1].output[0])
            if following is None or following.op_type != kind:
                break
            chain.append(following)
        if len(chain) == 5:
            yield chain


def _constants(graph: onnx.GraphProto) -> dict[str, float]:
    """The scalars among the graph's constants."""
    from onnx import helper, numpy_helper

    found = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(helper.get_node_attr_value(node, "value"))
    return {
        name: float(value) for name, value in found.items() if value.size == 1 and value.dtype.kind == "f"
    }


def _only_reader(graph: onnx.GraphProto, name: str) -> Optional[Any]:
    readers = [node for node in graph.node if name in node.input]
    return readers[0] if len(readers) == 1 else None


def _tanh_gelu(x: str, y: str, name: str) -> list[Any]:
    """x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))): Hendrycks and Gimpel, 2016."""
    from onnx import helper

    made = [_scalar(f"{name}_{i}", value) for i, value in enumerate((_CUBE, _SQRT_TWO_OVER_PI, 1.0, 0.5))]
    steps = [
        ("Mul", (x, x), "square"),
        ("Mul", (f"{name}_square", x), "cube"),
        ("Mul", (f"{name}_cube", f"{name}_0"), "small"),
        ("Add", (x, f"{name}_small"), "sum"),
        ("Mul", (f"{name}_sum", f"{name}_1"), "angle"),
        ("Tanh", (f"{name}_angle",), "tanh"),
        ("Add", (f"{name}_tanh", f"{name}_2"), "share"),
        ("Mul", (x, f"{name}_share"), "twice"),
    ]
    made += [helper.make_node(kind, list(read), [f"{name}_{gives}"]) for kind, read, gives in steps]
    return [*made, helper.make_node("Mul", [f"{name}_twice", f"{name}_3"], [y])]


def _scalar(name: str, value: float) -> Any:
    import numpy as np
    from onnx import helper, numpy_helper

    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.float32(value)))


def _replace(graph: onnx.GraphProto, old: list[Any], new: list[Any]) -> None:
    """Put `new` where the last of `old` stood, and drop `old`."""
    outputs = {node.output[0] for node in old}
    kept: list[Any] = []
    for node in graph.node:
        if node.output[0] == old[-1].output[0]:
            kept += new
        elif node.output[0] not in outputs:
            kept.append(node)
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)


def _cure_hardtanhs(graph: onnx.GraphProto, limits: list[tuple[float, float]]) -> None:
    """paddle2onnx clips every hardtanh at -1 and 1, whatever its limits are."""
    from onnx import helper

    if all(pair == (-1.0, 1.0) for pair in limits):
        return
    constants = _constants(graph)
    clips = [
        node
        for node in graph.node
        if node.op_type == "Clip" and [constants.get(name) for name in node.input[1:]] == [-1.0, 1.0]
    ]
    _refuse_count("hardtanhs", len(clips), len(limits))
    for number, (clip, pair) in enumerate(zip(clips, limits)):
        names = [f"zoo_hardtanh_{number}_{side}" for side in ("least", "most")]
        bounds = [_scalar(name, value) for name, value in zip(names, pair)]
        _replace(graph, [clip], [*bounds, helper.make_node("Clip", [clip.input[0], *names], clip.output)])


def _cure_log_sigmoids(graph: onnx.GraphProto, expected: int) -> None:
    """The logarithm of a sigmoid is minus infinity below about -104; -softplus(-x) is what was meant."""
    from onnx import helper

    if not expected:
        return
    pairs = [(node, _only_reader(graph, node.output[0])) for node in graph.node if node.op_type == "Sigmoid"]
    chains = [[node, reader] for node, reader in pairs if reader is not None and reader.op_type == "Log"]
    _refuse_count("logsigmoids", len(chains), expected)
    for number, (sigmoid, log) in enumerate(chains):
        names = [f"zoo_log_sigmoid_{number}_{step}" for step in ("negated", "softplus")]
        steps = [("Neg", sigmoid.input[0], names[0]), ("Softplus", *names), ("Neg", names[1], log.output[0])]
        _replace(graph, [sigmoid, log], [helper.make_node(kind, [x], [y]) for kind, x, y in steps])


def _cure_log_softmaxes(model: onnx.ModelProto) -> None:
    from onnx import helper

    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    chosen = [node for node in model.graph.node if node.op_type == "LogSoftmax"]
    for number, node in enumerate(chosen):
        name = f"zoo_log_softmax_{number}"
        axis = int(helper.get_node_attr_value(node, "axis"))
        steps = [
            *_largest(node.input[0], name, axis, opset),
            helper.make_node("Sub", [node.input[0], f"{name}_largest"], [f"{name}_below"]),
            _scalar(f"{name}_lowest", _LOWEST_LOGIT),
            helper.make_node("Max", [f"{name}_below", f"{name}_lowest"], [f"{name}_logits"]),
            helper.make_node("LogSoftmax", [f"{name}_logits"], [node.output[0]], axis=axis),
        ]
        _replace(model.graph, [node], steps)


def _largest(x: str, name: str, axis: int, opset: int) -> list[Any]:
    """The largest logit; from opset 18 on the axis is an input."""
    import numpy as np
    from onnx import helper, numpy_helper

    if opset < 18:
        return [helper.make_node("ReduceMax", [x], [f"{name}_largest"], axes=[axis], keepdims=1)]
    axes = numpy_helper.from_array(np.array([axis], np.int64))
    return [
        helper.make_node("Constant", [], [f"{name}_axis"], value=axes),
        helper.make_node("ReduceMax", [x, f"{name}_axis"], [f"{name}_largest"], keepdims=1),
    ]
