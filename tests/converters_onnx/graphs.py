"""Small ONNX files, each with one thing that a reader must know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def value(name: str, kind: int, shape: Sequence[Any] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: dict[str, np.ndarray] | None = None,
    *,
    opset: int = 17,
    ir: int = 8,
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def dense(opset: int = 17, ir: int = 8) -> onnx.ModelProto:
    """y = relu(x · w); before IR 4 the weight is an input of the graph too."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]
    weights = {"w": np.arange(6, dtype=np.float32).reshape(3, 2) - 2}
    inputs = [value("x", FLOAT, ["n", 3])] + ([value("w", FLOAT, [3, 2])] if ir < 4 else [])
    return model(nodes, inputs, [value("y", FLOAT, ["n", 2])], weights, opset=opset, ir=ir)


def embedding() -> onnx.ModelProto:
    """Rows of a quantised table, a mask, and a table of one-hot rows."""
    nodes = [
        helper.make_node("Cast", ["ids"], ["ids64"], to=INT64),
        helper.make_node("DequantizeLinear", ["table8", "scale"], ["table"]),
        helper.make_node("Gather", ["table", "ids64"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["kept"]),
        helper.make_node("OneHot", ["bytes", "depth", "values"], ["hot"]),
    ]
    weights = {
        "table8": np.arange(60, dtype=np.int8).reshape(20, 3),
        "scale": np.array(0.1, np.float32),
        "last": np.array([-1]),
        "depth": np.array(257),
        "values": np.array([0, 1], np.float32),
    }
    inputs = [
        value("ids", TensorProto.INT32, ["batch", "length"]),
        value("attention_mask", INT64, ["batch", "length"]),
        value("bytes", INT64, ["batch", 4]),
    ]
    outputs = [value("kept", FLOAT, ["batch", "length", 3]), value("hot", FLOAT, ["batch", 4, 257])]
    return model(nodes, inputs, outputs, weights)


def rated() -> onnx.ModelProto:
    """A sample rate that chooses between two branches; axes without names, one of them the batch."""
    branches = [
        helper.make_graph(
            [helper.make_node("Mul", ["x", factor], ["out"])], name, [], [value("out", FLOAT, None)]
        )
        for name, factor in (("then", "two"), ("else", "ten"))
    ]
    nodes = [
        helper.make_node("Equal", ["sr", "rate"], ["is16"]),
        helper.make_node("If", ["is16"], ["scaled"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("MatMul", ["scaled", "weight"], ["seen"]),
        helper.make_node("Add", ["seen", "state"], ["y"]),
    ]
    weights = {
        "rate": np.array(16000),
        "two": np.array(2, np.float32),
        "ten": np.array(10, np.float32),
        "weight": np.ones((6, 3), np.float32),
    }
    inputs = [value("x", FLOAT, [None, None]), value("state", FLOAT, [2, None, 3]), value("sr", INT64, [])]
    return model(nodes, inputs, [value("y", FLOAT, [2, None, 3])], weights)


def strided() -> onnx.ModelProto:
    """An image network whose sizes must be multiples of 32."""
    nodes = [
        helper.make_node("Reshape", ["x", "blocks"], ["cut"]),
        helper.make_node("ReduceMean", ["cut"], ["y"], axes=[3, 5], keepdims=0),
    ]
    weights = {"blocks": np.array([0, 0, -1, 32, 3, 32])}
    return model(nodes, [value("x", FLOAT, ["batch", 3, "h", "w"])], [value("y", FLOAT, None)], weights)


def with_external_data(folder: Path, location: str) -> Path:
    """`dense` whose weight is said to be in the file `location`; the data is written to ``w.bin``."""
    folder.mkdir(parents=True, exist_ok=True)
    source = dense()
    weight = source.graph.initializer[0]
    (folder / "w.bin").write_bytes(weight.raw_data)
    size = len(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, text in (("location", location), ("offset", "0"), ("length", str(size))):
        weight.external_data.add(key=key, value=text)
    path = folder / "model.onnx"
    path.write_bytes(source.SerializeToString())
    return path
