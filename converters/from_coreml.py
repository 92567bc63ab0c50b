"""Core ML: ``.mlmodel`` files, networks and models of features, held to numpy's computation of their
specification.

Core ML predicts on Apple's systems only, so its own answer cannot be had here; the certificate says what
the reference is instead. See docs/frameworks/coreml.md.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar, Mapping, Union

from converters import coreml_files, coreml_graph, coreml_numpy, coreml_steps, coreml_steps_numpy
from converters.coreml_steps import Steps
from converters.feed_options import with_options
from zoo.errors import UnsupportedModelError
from zoo.records import ColumnDomain, Domain, Signature, SourceDescription, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.coreml_files import Network
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors

    Model = Union[Network, Steps]

REFERENCE = "numpy's evaluation of the Core ML specification, numpy"
SILENT = "Core ML itself did not answer: it runs on Apple's systems only"
NORMALISED = "probabilities of one class against the rest are normalised, which the specification leaves open"


class CoreMLConverter:
    """Converts neural networks, trees, linear models and pipelines of Core ML's specification."""

    framework: ClassVar[str] = "coreml"
    title: ClassVar[str] = "Core ML"
    requirements: ClassVar[tuple[str, ...]] = ("coremltools",)
    extra: ClassVar[str] = "coreml"
    revision: ClassVar[int] = 2

    def load(self, artifact: Artifact, request: ConversionRequest) -> Model:
        """The network, or the steps of another model.

        Raises `UnsupportedModelError` for other kinds of models and for packages.
        """
        if request.kind != "mlmodel":
            raise UnsupportedModelError(
                f"{artifact.path.name} is a Core ML {request.kind}: its program has no converter to ONNX",
                hint=coreml_files.HINT,
            )
        message = coreml_files.read(artifact.path)
        kind = message.WhichOneof("Type")
        if kind in coreml_files.NETWORKS:
            return coreml_files.network(message)
        if kind not in coreml_steps.KINDS:
            raise UnsupportedModelError(
                f"a Core ML {kind or 'model without content'} is not converted", hint=coreml_files.HINT
            )
        return coreml_steps.read(message)

    def describe(self, model: Model, request: ConversionRequest) -> SourceDescription:
        """Inputs [batch, C] or [batch, C, H, W]; images hold 0 to 255, their channels red, green, blue.

        Of other models: numbers and texts [batch], arrays [batch, C].
        """
        found = _of_steps(model) if isinstance(model, Steps) else self._of_network(model)
        return with_options(found, request.options)

    def _of_network(self, model: Network) -> SourceDescription:
        _, shapes = coreml_graph.written(model, coreml_graph.OPSET)
        inputs = tuple(_spec(name, shape) for name, shape in model.inputs.items())
        outputs, roles = tuple(_spec(name, shapes[name]) for name in model.outputs), {}
        if model.labels:
            text = isinstance(model.labels[0], str)
            outputs += (TensorSpec("classLabel", "string" if text else "int64", ("batch",)),)
            roles = {"classLabel": "label", model.outputs[0]: "probabilities"}
        domains = tuple(_domain(model, name) for name in model.inputs)
        versions = {REFERENCE: version("numpy")}
        return SourceDescription(Signature(inputs, outputs), domains, roles, versions, (SILENT,))

    def convert(self, model: Model, request: ConversionRequest) -> onnx.ModelProto:
        """A network as ONNX at opset 17, or at another from 13 on; another model at opset 21, or later."""
        from converters.onnx_checks import check

        if isinstance(model, Steps):
            from converters.coreml_steps_graph import written

            return written(model, request.opset)
        opset = request.opset or coreml_graph.OPSET
        if not 13 <= opset <= 21:
            raise UnsupportedModelError(f"Core ML networks are written at opset 13 to 21, not {opset}")
        made, _ = coreml_graph.written(model, opset)
        check(made)
        return made

    def predict(self, model: Model, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """What numpy computes from the specification; of a network rounded to float32."""
        import numpy as np

        if isinstance(model, Steps):
            return coreml_steps_numpy.computed(model, feeds)
        blobs = coreml_numpy.computed(model, feeds)
        found = {name: array.astype(np.float32) for name, array in blobs.items()}
        if model.labels:
            rows = blobs[model.outputs[0]].reshape(len(next(iter(feeds.values()))), -1)
            found["classLabel"] = np.array(model.labels)[rows.argmax(axis=1)]
        return found


def _of_steps(model: Steps) -> SourceDescription:
    from converters.coreml_steps_graph import domains, outputs, roles, shape

    inputs = tuple(TensorSpec(name, kind.dtype, shape(kind)) for name, kind in model.inputs)
    signature = Signature(inputs, outputs(model))
    notes = (SILENT, *([NORMALISED] if any(map(coreml_steps.is_open, model.steps)) else []))
    return SourceDescription(signature, domains(model), roles(model), {REFERENCE: version("numpy")}, notes)


def _spec(name: str, shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(name, "float32", ("batch", *shape))


def _domain(model: Network, name: str) -> Domain:
    """Images hold bytes; of arrays nothing is known."""
    return Domain((ColumnDomain(low=0.0, high=255.0) if name in model.scaled else ColumnDomain(),))
