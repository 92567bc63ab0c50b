"""What paddle2onnx 2.1 gets wrong on programs of Paddle 3.3, put right before and after it.

Before: Paddle 3.3 writes doubles where paddle2onnx reads floats. Lists of them (an interpolation's scale) it
refuses; of others (a slope, an epsilon) it takes the first four bytes, and says nothing.
After: an element taken out of a shape had one axis before Paddle 2.5 and has none since; in a program of
before, paddle2onnx joins such scalars to vectors, which no runtime loads.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from converters.paddle_files import PaddleFiles

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

_DOUBLE, _FLOAT = "0.a_f64", "0.a_f32"


def readable(files: PaddleFiles, folder: Path) -> PaddleFiles:
    """The files, or where the program has attributes that are doubles a copy in `folder` with floats."""
    text = files.program.read_text(encoding="utf-8")
    if _DOUBLE not in text:
        return files
    program = json.loads(text)
    _narrow(program)
    copy = folder / "narrowed.json"
    copy.write_text(json.dumps(program), encoding="utf-8")
    return PaddleFiles(copy, files.parameters)


def _narrow(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _narrow(item)
    elif isinstance(value, dict):
        if value.get("#") == _DOUBLE:
            value["#"] = _FLOAT
        for item in value.values():
            _narrow(item)


def join_scalars(model: onnx.ModelProto) -> None:
    """Give a scalar that is joined to vectors one axis: there is nothing else that the Concat could mean."""
    from onnx import helper, numpy_helper

    scalars = _scalars(model)
    kept = list(model.graph.node)
    del model.graph.node[:]
    for node in kept:
        joined = node.op_type == "Concat" and helper.get_node_attr_value(node, "axis") == 0
        for place, name in enumerate(node.input if joined else ()):
            if name in scalars:
                vector = f"{node.output[0]}_{place}_vector"
                model.graph.node.append(helper.make_node("Reshape", [name, "zoo_one_axis"], [vector]))
                node.input[place] = vector
        model.graph.node.append(node)
    if any("zoo_one_axis" in node.input for node in model.graph.node):
        model.graph.initializer.append(numpy_helper.from_array(_one_axis(), "zoo_one_axis"))


def _one_axis() -> Any:
    import numpy as np

    return np.array([1], np.int64)


def _scalars(model: onnx.ModelProto) -> set[str]:
    """The values between nodes that have no axis, as far as onnx can infer it."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model)
    return {
        value.name
        for value in inferred.graph.value_info
        if value.type.tensor_type.HasField("shape") and not value.type.tensor_type.shape.dim
    }
