"""ONNX files as MATLAB's exporter writes them, and the .mat files that belong to them.

There is no MATLAB here: the graphs follow what its exporter is documented to write (producer, opset 6 to
14, weights that are inputs before IR 4, a mean subtracted first), and the answers are computed by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import scipy.io
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
PRODUCER = "MATLAB Deep Learning Toolbox Converter for ONNX Model Format"


def small_cnn(opset: int, batch: int | str = "BatchSize") -> onnx.ModelProto:
    """[N, 3, 8, 8] → [N, 5]: mean, convolution, batch norm, LRN, pooling, fully connected, softmax."""
    random = np.random.default_rng(0)
    weights = {
        "data_Mean": random.normal(size=(3, 1, 1) if opset < 7 else (1, 3, 1, 1)),
        "conv_W": random.normal(size=(4, 3, 3, 3)) * 0.3,
        "conv_B": random.normal(size=4),
        "bn_scale": random.normal(size=4),
        "bn_B": random.normal(size=4),
        "bn_mean": random.normal(size=4),
        "bn_var": random.uniform(0.5, 2, size=4),
        "fc_W": random.normal(size=(5, 64)) * 0.3,
        "fc_B": random.normal(size=5),
    }
    old = opset < 7
    nodes = [
        helper.make_node("Sub", ["data", "data_Mean"], ["mean"], **_only(old, broadcast=1, axis=1)),
        helper.make_node(
            "Conv",
            ["mean", "conv_W", "conv_B"],
            ["conv"],
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
            strides=[1, 1],
        ),
        helper.make_node(
            "BatchNormalization",
            ["conv", "bn_scale", "bn_B", "bn_mean", "bn_var"],
            ["bn"],
            epsilon=1e-5,
            **_only(old, is_test=1),
            **_only(opset < 9, spatial=1),
        ),
        helper.make_node("Relu", ["bn"], ["relu"]),
        helper.make_node("LRN", ["relu"], ["lrn"], size=3, alpha=1e-2, beta=0.75, bias=1.0),
        helper.make_node("MaxPool", ["lrn"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node(
            "Dropout", ["pool"], ["drop"], **_only(opset < 12, ratio=0.5), **_only(old, is_test=1)
        ),
        helper.make_node("Flatten", ["drop"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "fc_W", "fc_B"], ["fc"], transB=1, **_only(old, broadcast=1)),
        helper.make_node("Softmax", ["fc"], ["prob"], axis=1),
    ]
    return model(nodes, weights, {"data": (batch, 3, 8, 8)}, {"prob": (batch, 5)}, opset)


def _only(condition: bool, **attributes: float) -> dict[str, float]:
    return attributes if condition else {}


def small_cnn_answer(images: Array) -> Array:
    """What `small_cnn` gives for [N, 3, 8, 8] in float64, written down from the operators' definitions."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in small_cnn(14).graph.initializer}
    x = images.astype(np.float64) - weights["data_Mean"]
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    x = np.einsum("nchwij,kcij->nkhw", windows, weights["conv_W"]) + weights["conv_B"].reshape(1, -1, 1, 1)
    scale = weights["bn_scale"] / np.sqrt(weights["bn_var"] + np.float64(1e-5))
    x = (x - weights["bn_mean"].reshape(1, -1, 1, 1)) * scale.reshape(1, -1, 1, 1)
    x = np.maximum(x + weights["bn_B"].reshape(1, -1, 1, 1), 0)
    squares = np.pad(x**2, ((0, 0), (1, 1), (0, 0), (0, 0)))
    x = x / (1 + 1e-2 / 3 * (squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:])) ** 0.75
    x = x.reshape(len(x), 4, 4, 2, 4, 2).max(axis=(3, 5)).reshape(len(x), -1)
    scores = x @ weights["fc_W"].T + weights["fc_B"]
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(exps / exps.sum(axis=1, keepdims=True))


def model(
    nodes: list[onnx.NodeProto],
    weights: dict[str, Array],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    opset: int,
) -> onnx.ModelProto:
    """A model of MATLAB's: IR 3 with its weights as inputs, float32 throughout."""
    kinds = {name: array.dtype if array.dtype.kind == "i" else np.float32 for name, array in weights.items()}
    tensors = [numpy_helper.from_array(a.astype(kinds[name]), name) for name, a in weights.items()]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in inputs.items()]
    values += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in outputs.items()]
    graph = helper.make_graph(nodes, "Network", values, results, tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3)
    made.producer_name, made.producer_version = PRODUCER, "22.2.4 (R2022b)"
    return made


def written(folder: Path, proto: onnx.ModelProto, name: str = "net.onnx") -> Path:
    path = folder / name
    path.write_bytes(proto.SerializeToString())
    return path


def save_v5(path: Path, variables: dict[str, Any]) -> None:
    scipy.io.savemat(path, variables)


def save_v73(path: Path, variables: dict[str, Any]) -> None:
    """As `save(file, '-v7.3')` lays it out: axes reversed, a class for each array, text as UTF-16 codes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            text = isinstance(value, str)
            array = np.array([[ord(c) for c in value]], dtype=np.uint16) if text else np.asarray(value)
            dataset = file.create_dataset(name, data=array.T)
            dataset.attrs["MATLAB_class"] = np.bytes_("char" if text else "single")
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
