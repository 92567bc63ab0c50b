"""One random fault in any graph: a weight, an operator, an attribute, a node, a cast.

`planted(graph, number)` is the same each time. What changes nothing is no fault: `changes` tells by the two
graphs alone, on rows that the verifier never sees.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.verification.planted.edits import attribute, bypass, copied, insert_before, set_attribute
from zoo.errors import ZooError
from zoo.verification.runtime import Session

FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64}
SWAPPED = {
    "Relu": "Abs", "Sigmoid": "HardSigmoid", "Tanh": "Softsign", "Add": "Sub", "Sub": "Add", "Erf": "Tanh",
    "Exp": "Softplus", "Softplus": "Relu", "AveragePool": "MaxPool", "ReduceMean": "ReduceMax", "Elu": "Selu",
    "GlobalAveragePool": "GlobalMaxPool", "GlobalMaxPool": "GlobalAveragePool", "ReduceMax": "ReduceMean",
    "Softmax": "LogSoftmax", "LogSoftmax": "Softmax", "Less": "LessOrEqual", "Greater": "GreaterOrEqual",
    "ArgMax": "ArgMin", "HardSwish": "Mish", "Max": "Min", "Min": "Max", "Sqrt": "Identity", "Div": "Mul",
}  # fmt: skip
SCALES = (0.01, 0.1, 1, 10, 100, 0)
DROPPABLE = {
    "Relu", "Tanh", "Sigmoid", "Elu", "LeakyRelu", "Softmax", "Exp", "Sqrt", "Erf", "Softplus", "Clip", "Neg",
    "LayerNormalization", "BatchNormalization",
}  # fmt: skip


def planted(graph: onnx.ModelProto, number: int) -> tuple[str, onnx.ModelProto]:
    """What was done, and the graph with it; only faults that change an answer count."""
    random = np.random.default_rng(20_000 + number)
    for _ in range(200):
        kind = KINDS[int(random.integers(len(KINDS)))]
        wrong = copied(graph)
        what = kind(wrong, random)
        if what is not None and changes(graph, wrong, number):
            return what, wrong
    raise AssertionError("no fault changes this graph")


def changes(right: onnx.ModelProto, wrong: onnx.ModelProto, number: int) -> bool:
    """Whether any answer to 2048 random rows of six scales differs by more than rounding; unrunnable: no."""
    try:
        sessions = [Session(proto.SerializeToString(), optimisation="none") for proto in (right, wrong)]
        return any(
            _differ(*sessions, _rows(sessions[0], number, scale)) for scale in (0.01, 0.1, 1, 10, 100, 0)
        )
    except ZooError:
        return False


def _rows(session, number, scale):
    random = np.random.default_rng(30_000 + number)
    feeds = {}
    for spec in session.inputs:
        shape = tuple(dim if isinstance(dim, int) else 2048 for dim in spec.shape)
        if spec.dtype.startswith("int"):
            feeds[spec.name] = random.integers(0, 10, shape).astype(spec.dtype)
        else:
            feeds[spec.name] = (random.standard_normal(shape) * scale).astype(spec.dtype)
    return feeds


def _differ(right, wrong, feeds):
    expected, actual = right.run(feeds), wrong.run(feeds)
    return any(_apart(expected[name], actual[name]) for name in expected)


def _apart(e, a):
    if e.shape != a.shape or e.dtype.kind != "f":
        return e.shape != a.shape or not np.array_equal(e, a)
    scale = np.abs(e[np.isfinite(e)]).max(initial=0.0)
    near = 1e-5 * scale if e.dtype == np.float32 else 1e-11 * scale
    return not np.allclose(a, e, rtol=0, atol=near, equal_nan=True)


def _weights(graph):
    return [t for t in graph.graph.initializer if t.data_type in FLOATS and np.prod(t.dims, initial=1) > 0]


def _one(items, random):
    return items[int(random.integers(len(items)))] if items else None


def _edited(graph, random, edit, least=1):
    tensor = _one([t for t in _weights(graph) if np.prod(t.dims, initial=1) >= least], random)
    if tensor is None:
        return None
    values = numpy_helper.to_array(tensor).copy()
    new = np.ascontiguousarray(edit(values), dtype=values.dtype)
    tensor.CopyFrom(numpy_helper.from_array(new, tensor.name))
    return tensor.name


def element_off(graph, random):
    """One element off by a thousandth to a tenth of the largest."""
    size = 10.0 ** -random.integers(1, 4)

    def edit(values):
        place = int(random.integers(values.size))
        values.reshape(-1)[place] += size * np.abs(values).max()
        return values

    name = _edited(graph, random, edit)
    return name and f"one element off by {size:g} of the largest"


def scaled(graph, random):
    factor = 1 + 10.0 ** -random.integers(1, 4)
    return _edited(graph, random, lambda v: v * factor) and f"a tensor scaled by {factor:g}"


def rolled(graph, random):
    return _edited(graph, random, lambda v: np.roll(v, 1, axis=-1), 2) and "a tensor rolled by one"


def halved(graph, random):
    return _edited(graph, random, lambda v: v.astype(np.float16)) and "a tensor in half precision"


def stale(graph, random):
    def edit(values):
        return values + 1e-3 * np.abs(values).max() * random.standard_normal(values.shape)

    return _edited(graph, random, edit) and "a tensor of another training step"


def zeroed(graph, random):
    return _edited(graph, random, lambda v: v * 0) and "a tensor of zeros"


def operator(graph, random):
    node = _one([node for node in graph.graph.node if node.op_type in SWAPPED], random)
    if node is None:
        return None
    old, node.op_type = node.op_type, SWAPPED[node.op_type]
    return f"{node.op_type} for {old}"


def dropped(graph, random):
    node = _one([node for node in graph.graph.node if node.op_type in DROPPABLE], random)
    if node is None:
        return None
    bypass(graph, node)
    return f"{node.op_type} left out"


def number_off(graph, random):
    """A float attribute ten times as large, or pads moved from one side to the other."""
    found = [(n, a) for n in graph.graph.node for a in n.attribute if a.type == a.FLOAT or a.name == "pads"]
    chosen = _one(found, random)
    if chosen is None:
        return None
    node, old = chosen
    value = (
        old.f * 10
        if old.type == old.FLOAT
        else [*old.ints[len(old.ints) // 2 :], *old.ints[: len(old.ints) // 2]]
    )
    name = old.name
    set_attribute(node, name, value)
    return f"{name} of {node.op_type} wrong"


def narrowed(graph, random):
    """A value goes through float16."""
    floats = [n for n in graph.graph.node if n.op_type in ("MatMul", "Gemm", "Conv", "Add", "Relu", "Mul")]
    node = _one(floats, random)
    if node is None:
        return None
    kind = (
        TensorProto.DOUBLE
        if any(t.data_type == TensorProto.DOUBLE for t in _weights(graph))
        else TensorProto.FLOAT
    )
    name = node.input[0]
    made = [
        helper.make_node("Cast", [name], ["narrow"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["narrow"], ["wide"], to=kind),
    ]
    node.input[0] = "wide"
    insert_before(graph, node, *made)
    return f"float16 before {node.op_type}"


def tree(graph, random):
    """A leaf off, a split one step up, or the wrong comparison."""
    node = next((node for node in graph.graph.node if node.op_type == "TreeEnsemble"), None)
    if node is None:
        return None
    what = ("nodes_splits", "leaf_weights", "nodes_modes")[int(random.integers(3))]
    values = numpy_helper.to_array(attribute(node, what).t).copy()
    place = int(random.integers(values.size))
    if what == "nodes_splits":
        values = np.nextafter(values.astype(np.float32), np.float32(np.inf)).astype(values.dtype)
    elif what == "leaf_weights":
        values[place] += 1e-3 * np.abs(values).max()
    else:
        values[:] = 1
    set_attribute(node, what, numpy_helper.from_array(values))
    return f"{what} of a tree wrong"


KINDS = (
    element_off, element_off, element_off, scaled, rolled, halved, stale, zeroed, operator, operator, dropped,
    number_off, narrowed, tree,
)  # fmt: skip
