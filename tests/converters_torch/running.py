"""Take a torch model through the converter as the worker does, and compare ONNX Runtime with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from converters.from_torch import TorchConverter
from zoo.records import Artifact, ConversionRequest, SourceDescription, TensorSpec

NETS = "tests.converters_torch.nets"


def request(path: Path | str = "live", kind: str = "live", **fields: Any) -> ConversionRequest:
    fields.setdefault("inputs", ())
    fields["inputs"] = tuple(map(spec, fields["inputs"]))
    return ConversionRequest(Artifact(Path(path), "0" * 64, 0), "torch", kind, **fields)


def spec(text: str | TensorSpec) -> TensorSpec:
    """``name:dtype[a,3]`` as a TensorSpec."""
    if isinstance(text, TensorSpec):
        return text
    name, _, rest = text.partition(":")
    dtype, _, shape = rest.rstrip("]").partition("[")
    return TensorSpec(name, dtype, tuple(int(d) if d.isdigit() else d for d in shape.split(",") if d))


@dataclass
class Converted:
    """A model, its graph, and a session of it."""

    model: Any
    graph: onnx.ModelProto
    description: SourceDescription
    converter: TorchConverter = field(default_factory=TorchConverter)

    def __post_init__(self) -> None:
        onnx.checker.check_model(self.graph)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            self.graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    @property
    def route(self) -> str:
        return next(p.value for p in self.graph.metadata_props if p.key == "zoo.route")

    @property
    def opset(self) -> int:
        return next(o.version for o in self.graph.opset_import if not o.domain)

    def expected(self, **feeds: Any) -> dict[str, np.ndarray]:
        return self.converter.predict(self.model, feeds)

    def got(self, **feeds: Any) -> dict[str, np.ndarray]:
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, feeds), strict=True))

    def error(self, **feeds: Any) -> float:
        """The largest difference between source and graph; shapes, names and dtypes must agree."""
        expected, got = self.expected(**feeds), self.got(**feeds)
        assert list(got) == list(expected)
        for name, value in expected.items():
            assert got[name].shape == value.shape, name
            assert got[name].dtype == value.dtype, name
        differences = [np.abs(got[n].astype("f8") - expected[n].astype("f8")) for n in expected]
        return max((float(d.max()) for d in differences if d.size), default=0.0)


def convert(model: Any, asked: ConversionRequest) -> Converted:
    """A live model, or None to load the request's file."""
    converter = TorchConverter()
    loaded = converter.load(asked.artifact, asked) if model is None else model
    description = converter.describe(loaded, asked)
    return Converted(loaded, converter.convert(loaded, asked), description, converter)


def normal(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


__all__ = ["NETS", "Converted", "convert", "normal", "replace", "request", "spec"]
