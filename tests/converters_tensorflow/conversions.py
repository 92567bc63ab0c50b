"""A conversion and its proof, as the tests of TensorFlow's and TFLite's converters share them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from zoo.records import Artifact, ConversionRequest, SourceDescription


@dataclass
class Conversion:
    """A converted model beside its source, ready to be run side by side."""

    converter: Any
    model: Any
    description: SourceDescription
    proto: onnx.ModelProto
    session: onnxruntime.InferenceSession

    def feeds(self, batch: int, length: int = 6, seed: int = 0) -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        return {spec.name: _values(spec, batch, length, random) for spec in self.description.signature.inputs}

    def both(self, feeds: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """(output, expected, actual) for every output, which must be the same on both sides, in order."""
        expected = self.converter.predict(self.model, feeds)
        names = [value.name for value in self.session.get_outputs()]
        assert names == list(expected) == [spec.name for spec in self.description.signature.outputs]
        actual = self.session.run(None, feeds)
        return [(name, expected[name], value) for name, value in zip(names, actual, strict=True)]

    def difference(self, batch: int, length: int = 6, seed: int = 0) -> float:
        """The largest absolute difference over all outputs, after dtype and shape were found equal."""
        worst = 0.0
        for name, expected, actual in self.both(self.feeds(batch, length, seed)):
            assert (expected.dtype, expected.shape) == (actual.dtype, actual.shape), name
            worst = max(worst, float(np.abs(expected.astype(np.float64) - actual).max(initial=0.0)))
        return worst


def request(path: Path, framework: str, kind: str, **more: Any) -> ConversionRequest:
    return ConversionRequest(Artifact(path, "0" * 64, 0), framework, kind, **more)


def convert(converter: Any, path: Path, kind: str, **more: Any) -> Conversion:
    """Load, describe, convert and open a file."""
    asked = request(path, converter.framework, kind, **more)
    return finish(converter, converter.load(asked.artifact, asked), asked)


def convert_live(converter: Any, model: Any, **more: Any) -> Conversion:
    """Describe, convert and open a model of this process."""
    return finish(converter, model, request(Path("live"), converter.framework, "live", **more))


def finish(converter: Any, model: Any, asked: ConversionRequest) -> Conversion:
    description = converter.describe(model, asked)
    proto = converter.convert(model, asked)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return Conversion(converter, model, description, proto, session)


def _values(spec: Any, batch: int, length: int, random: np.random.Generator) -> np.ndarray:
    shape = [size if isinstance(size, int) else batch if size == "batch" else length for size in spec.shape]
    if spec.dtype.startswith("float"):
        return random.normal(size=shape).astype(spec.dtype)
    low, high = (-100, 100) if spec.dtype == "int8" else (0, 7)
    return random.integers(low, high, shape).astype(spec.dtype)
