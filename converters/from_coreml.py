"""Core ML: neural networks of ``.mlmodel`` files, held to numpy's computation of their specification.

Core ML predicts on Apple's systems only, so its own answer cannot be had here; the certificate says what
the reference is instead. See docs/frameworks/coreml.md.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar, Mapping

from converters import coreml_files, coreml_graph, coreml_numpy
from converters.feed_options import with_options
from zoo.errors import UnsupportedModelError
from zoo.records import ColumnDomain, Domain, Signature, SourceDescription, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.coreml_files import Network
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors


class CoreMLConverter:
    """Converts neural networks of Core ML's specification."""

    framework: ClassVar[str] = "coreml"
    title: ClassVar[str] = "Core ML"
    requirements: ClassVar[tuple[str, ...]] = ("coremltools",)
    extra: ClassVar[str] = "coreml"
    revision: ClassVar[int] = 1

    def load(self, artifact: Artifact, request: ConversionRequest) -> Network:
        """The network. Raises `UnsupportedModelError` for other kinds of models and for packages."""
        if request.kind != "mlmodel":
            raise UnsupportedModelError(
                f"{artifact.path.name} is a Core ML {request.kind}: its program has no converter to ONNX",
                hint=coreml_files.HINT,
            )
        return coreml_files.read(artifact.path)

    def describe(self, model: Network, request: ConversionRequest) -> SourceDescription:
        """Inputs [batch, C] or [batch, C, H, W]; images hold 0 to 255, their channels red, green, blue."""
        _, shapes = coreml_graph.written(model, coreml_graph.OPSET)
        inputs = tuple(_spec(name, shape) for name, shape in model.inputs.items())
        outputs, roles = tuple(_spec(name, shapes[name]) for name in model.outputs), {}
        if model.labels:
            text = isinstance(model.labels[0], str)
            outputs += (TensorSpec("classLabel", "string" if text else "int64", ("batch",)),)
            roles = {"classLabel": "label", model.outputs[0]: "probabilities"}
        domains = tuple(_domain(model, name) for name in model.inputs)
        versions = {"numpy's evaluation of the Core ML specification, numpy": version("numpy")}
        notes = ("Core ML itself did not answer: it runs on Apple's systems only",)
        found = SourceDescription(Signature(inputs, outputs), domains, roles, versions, notes)
        return with_options(found, request.options)

    def convert(self, model: Network, request: ConversionRequest) -> onnx.ModelProto:
        """The network as ONNX at opset 17, or at another from 13 on."""
        from converters.onnx_checks import check

        opset = request.opset or coreml_graph.OPSET
        if not 13 <= opset <= 21:
            raise UnsupportedModelError(f"Core ML networks are written at opset 13 to 21, not {opset}")
        made, _ = coreml_graph.written(model, opset)
        check(made)
        return made

    def predict(self, model: Network, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """What numpy computes from the specification, rounded to float32."""
        import numpy as np

        blobs = coreml_numpy.computed(model, feeds)
        found = {name: array.astype(np.float32) for name, array in blobs.items()}
        if model.labels:
            rows = blobs[model.outputs[0]].reshape(len(next(iter(feeds.values()))), -1)
            found["classLabel"] = np.array(model.labels)[rows.argmax(axis=1)]
        return found


def _spec(name: str, shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(name, "float32", ("batch", *shape))


def _domain(model: Network, name: str) -> Domain:
    """Images hold bytes; of arrays nothing is known."""
    return Domain((ColumnDomain(low=0.0, high=255.0) if name in model.scaled else ColumnDomain(),))
