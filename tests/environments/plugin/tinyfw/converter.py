"""Sums of an input's columns with weights: ``tinyfw 1`` and one weight a line."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from zoo.records import ColumnDomain, Domain, Signature, SourceDescription, TensorSpec


class TinyConverter:
    framework = "tinyfw"
    title = "Tiny framework"
    requirements = ("numpy", "onnx", "six")
    extra = "tinyfw"
    revision = 1

    def recognise(self, path: Path) -> str | None:
        return "text" if path.is_file() and path.read_bytes()[:9] == b"tinyfw 1\n" else None

    def load(self, artifact: Any, request: Any) -> Any:
        import numpy as np
        import six  # only its own environment has it

        lines = six.ensure_text(artifact.path.read_bytes()).splitlines()
        return np.array([float(line) for line in lines[1:]], np.float32).reshape(-1, 1)

    def describe(self, model: Any, request: Any) -> SourceDescription:
        import numpy as np
        import onnx

        inputs = (TensorSpec("x", "float32", ("batch", len(model))),)
        signature = Signature(inputs, (TensorSpec("y", "float32", ("batch", 1)),))
        versions = {"python": platform.python_version(), "numpy": np.__version__, "onnx": onnx.__version__}
        return SourceDescription(signature, (Domain((ColumnDomain(-4.0, 4.0),)),), versions=versions)

    def convert(self, model: Any, request: Any) -> Any:
        from onnx import TensorProto, helper, numpy_helper

        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", len(model)])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
        graph = helper.make_graph([node], "tiny", [x], [y], [numpy_helper.from_array(model, "w")])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def predict(self, model: Any, feeds: Any) -> Any:
        return {"y": feeds["x"] @ model}
