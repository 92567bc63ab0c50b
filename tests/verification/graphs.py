"""Small real ONNX graphs for the tests of the verifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def value(name, shape, element=FLOAT):
    return helper.make_tensor_value_info(name, element, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def model(nodes, inputs, outputs, stored=(), *, domains=(), functions=(), opset=17):
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(stored))
    imports = [helper.make_opsetid("", opset), *[helper.make_opsetid(name, 1) for name in domains]]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=8)


def save(proto, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    onnx.save(proto, str(path))
    return path


def mlp(weights: np.ndarray, bias: np.ndarray):
    """softmax(relu(x·W1 + b)·W2), with a second output: the sum of each row of the hidden layer."""
    second = weights.T.copy()
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["product"], name="first"),
        helper.make_node("Add", ["product", "b"], ["sum"], name="bias"),
        helper.make_node("Relu", ["sum"], ["hidden"], name="relu"),
        helper.make_node("MatMul", ["hidden", "w2"], ["logits"], name="second"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], name="softmax", axis=-1),
        helper.make_node("ReduceSum", ["hidden", "axes"], ["total"], name="total", keepdims=0),
    ]
    stored = [constant("w1", weights), constant("b", bias), constant("w2", second)]
    stored.append(constant("axes", np.array([1])))
    outputs = [value("probabilities", ["batch", weights.shape[0]]), value("total", ["batch"])]
    return model(nodes, [value("x", ["batch", weights.shape[0]])], outputs, stored)


def seeded_mlp(seed: int = 0, width: int = 5, hidden: int = 8):
    random = np.random.default_rng(seed)
    weights = random.standard_normal((width, hidden)).astype(np.float32)
    return mlp(weights, random.standard_normal(hidden).astype(np.float32))


def nested_bomb(depth: int, *, fan: int = 2):
    """`depth` functions, each of which calls the one before it `fan` times: fan**depth nodes."""
    functions = []
    for level in range(depth):
        if level:
            call = [("f", f"f{level - 1}")] * fan
        else:
            call = [("", "Neg")] * fan
        names = ["x", *[f"t{i}" for i in range(fan - 1)], "y"]
        nodes = [
            helper.make_node(op, [names[i]], [names[i + 1]], domain=domain)
            for i, (domain, op) in enumerate(call)
        ]
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
        functions.append(helper.make_function("f", f"f{level}", ["x"], ["y"], nodes, imports))
    nodes = [helper.make_node(f"f{depth - 1}", ["x"], ["y"], domain="f")]
    return model(nodes, [value("x", [1])], [value("y", [1])], domains=["f"], functions=functions)


def endless_loop():
    """A Loop whose condition is always true and whose trip count is the largest int64."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Neg", ["v"], ["w"])],
        "body",
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("v", [1])],
        [value("go_on", [], TensorProto.BOOL), value("w", [1])],
    )
    nodes = [helper.make_node("Loop", ["trips", "yes", "x"], ["y"], body=body)]
    stored = [constant("trips", np.array(2**63 - 1)), constant("yes", np.array(True))]
    return model(nodes, [value("x", [1])], [value("y", [1])], stored)


def choice(threshold: float = 0.0):
    """If mean(x) > threshold: x·w, else x + w. A subgraph that uses outer values."""
    branches = {}
    for name, op in (("then_branch", "Mul"), ("else_branch", "Add")):
        node = helper.make_node(op, ["x", "w"], [f"{name}_y"])
        branches[name] = helper.make_graph([node], name, [], [value(f"{name}_y", [3])])
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "t"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], **branches),
    ]
    stored = [constant("w", np.array([1, 2, 3], np.float32)), constant("t", np.float32(threshold))]
    return model(nodes, [value("x", [3])], [value("y", [3])], stored)
