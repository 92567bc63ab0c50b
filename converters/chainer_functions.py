"""Functions that onnx_chainer does not know, or writes as others: resizing, normalisation, the LSTM cell.

Each takes onnx_chainer's `param` (the function, its names, and what keeps constants) and gives the nodes.
"""

from __future__ import annotations

from typing import Any, Callable, Dict

from zoo.errors import UnsupportedModelError


def converters() -> Dict[str, Callable[[Any], Any]]:
    """By the name of the function node, as ``onnx_chainer.export`` takes them."""
    return {
        "ResizeImages": _resize,
        "NormalizeL2": _l2_normalization,
        "LayerNormalization": _layer_normalization,
        "LSTM": _lstm,
    }


def _constant(param: Any, value: Any, name: str, dtype: str = "float32") -> str:
    import numpy as np

    return param.context.add_const(np.asarray(value, dtype), name)  # type: ignore[no-any-return]


def _builder() -> Any:
    from onnx_chainer import onnx_helper

    return onnx_helper.GraphBuilder()


def _resize(param: Any) -> Any:
    """onnx_chainer leaves out how corners are aligned, which ONNX says from opset 11 on."""
    from onnx_chainer import onnx_helper

    func = param.func
    if param.opset_version < 11 or func.mode != "bilinear":
        raise UnsupportedModelError(
            f"resize_images ({func.mode}) at opset {param.opset_version} has no ONNX form",
            hint="Bilinear resizing converts at opset 11.",
        )
    height, width = func.inputs[0].shape[2:]
    scales = _constant(param, [1, 1, func.out_H / height, func.out_W / width], "scales")
    inputs = [*param.input_names, _constant(param, [], "roi"), scales]
    corners = "align_corners" if func.align_corners else "half_pixel"
    return (
        onnx_helper.make_node(
            "Resize", inputs, param.output_names, mode="linear", coordinate_transformation_mode=corners
        ),
    )


def _l2_normalization(param: Any) -> Any:
    """x / (√Σx² + eps); ONNX's LpNormalization has no eps."""
    steps = _builder()
    (x,) = param.input_names
    squares = steps.op("Mul", [x, x])
    total = steps.op("ReduceSum", [squares], axes=list(param.func.axis), keepdims=1)
    root = steps.op("Sqrt", [total])
    norm = steps.op("Add", [root, _constant(param, param.func.eps, "eps")])
    steps.op_output_named("Div", [x, norm], param.output_names)
    return steps.nodes()


def _layer_normalization(param: Any) -> Any:
    """(x − mean) / √(variance + eps) · gamma + beta over the second of two axes."""
    steps = _builder()
    x, gamma, beta = param.input_names
    centred = steps.op("Sub", [x, steps.op("ReduceMean", [x], axes=[1], keepdims=1)])
    squares = steps.op("Mul", [centred, centred])
    variance = steps.op("ReduceMean", [squares], axes=[1], keepdims=1)
    deviation = steps.op("Sqrt", [steps.op("Add", [variance, _constant(param, param.func.eps, "eps")])])
    scaled = steps.op("Mul", [steps.op("Div", [centred, deviation]), gamma])
    steps.op_output_named("Add", [scaled, beta], param.output_names)
    return steps.nodes()


def _lstm(param: Any) -> Any:
    """One step of an LSTM from its four gates, which lie interleaved in the second axis of `x`."""
    steps = _builder()
    cell, x = param.input_names
    before, now = (value.shape for value in param.func.inputs)
    if len(now) != 2 or before[0] != now[0]:
        raise UnsupportedModelError("an LSTM over rows of different length, or over pictures, has no form")
    gates = steps.op("Reshape", [x, _constant(param, [0, -1, 4], "gates", "int64")])
    parts = steps.op("Split", [gates], num_outputs=4, axis=2)
    value, *others = (steps.op("Squeeze", [part], axes=[2]) for part in parts)
    half = _constant(param, 0.5, "half")
    enter, keep, leave = (_sigmoid(steps, gate, half) for gate in others)
    value = steps.op("Tanh", [value])
    entered = steps.op("Mul", [value, enter])
    kept = steps.op("Mul", [cell, keep])
    next_cell, answer = param.output_names
    steps.op_output_named("Add", [entered, kept], [next_cell])
    steps.op_output_named("Mul", [leave, steps.op("Tanh", [next_cell])], [answer])
    return steps.nodes()


def _sigmoid(steps: Any, x: str, half: str) -> str:
    """As Chainer computes it: by tanh, which rounds otherwise than a Sigmoid where that is near 0."""
    tanh = steps.op("Tanh", [steps.op("Mul", [x, half])])
    return steps.op("Add", [steps.op("Mul", [tanh, half]), half])  # type: ignore[no-any-return]
