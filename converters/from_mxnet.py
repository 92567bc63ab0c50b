"""MXNet: a symbol and its parameters, as Gluon's ``export`` and ``save_checkpoint`` write them."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, Mapping

from converters import onnx_checks
from converters.onnx_tidy import rename, strip_provenance
from converters.tried_signature import described, narrowed, sample_arrays, sample_specs
from zoo.errors import MissingInputError, UnsupportedModelError, UsageError
from zoo.records import SourceDescription, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.mxnet_model import MXNetModel
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors

DEFAULT_OPSET = 13


class MXNetConverter:
    """Converts MXNet 1.x models; see `docs/frameworks/mxnet.md`."""

    framework: ClassVar[str] = "mxnet"
    title: ClassVar[str] = "MXNet"
    requirements: ClassVar[tuple[str, ...]] = ("mxnet", "onnx")
    extra: ClassVar[str] = "mxnet"
    revision: ClassVar[int] = 1

    def load(self, artifact: Artifact, request: ConversionRequest) -> MXNetModel:
        """The model that a symbol or a parameter file belongs to.

        Raises `UnsupportedFileError` where a part is missing, damaged or of another model, `UnsafeFileError`
        for operations that reach beyond the model.
        """
        from converters import mxnet_files, mxnet_model

        return mxnet_model.load(mxnet_files.found(artifact.path, request.kind, request.options))

    def describe(self, model: MXNetModel, request: ConversionRequest) -> SourceDescription:
        """Inputs as asked, sampled or stated by the symbol; outputs as they come at two sizes of each axis.

        Raises `MissingInputError` where nothing says the shapes: a symbol seldom does.
        """
        from converters.mxnet_files import probabilities, table_rows

        rows = table_rows(model.files, model.inputs)
        description = described(model.run, _inputs(model, request), request, rows)
        roles = {model.outputs[place]: "probabilities" for place in probabilities(model.files)}
        versions = {name: version(name) for name in ("mxnet", "onnx")}
        return replace(description, roles=roles, versions=versions)

    def convert(self, model: MXNetModel, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX at opset 13, or at the requested one of 12 and 13.

        Raises `UnsupportedModelError` for operations without an ONNX form, and where an axis was frozen.
        """
        from converters.mxnet_cures import cured
        from converters.mxnet_model import exported, exported_name

        promised = self.describe(model, request).signature
        graph = exported(model, promised.inputs, _opset(request))
        cured(graph, model.files)
        for output in model.outputs:
            rename(graph.graph, exported_name(output), output)
        strip_provenance(graph)
        return onnx_checks.finished(graph, promised)

    def predict(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """MXNet's answer in prediction mode."""
        answer: Tensors = model.run(feeds)
        return answer


def _opset(request: ConversionRequest) -> int:
    from converters.mxnet_model import OPSETS

    asked = request.opset or DEFAULT_OPSET
    if asked not in OPSETS:
        raise UnsupportedModelError(
            f"MXNet's exporter does not write opset {asked}", hint=f"It writes {OPSETS[0]} and {OPSETS[-1]}."
        )
    return asked


def _inputs(model: MXNetModel, request: ConversionRequest) -> tuple[TensorSpec, ...]:
    from converters.mxnet_files import stated_input

    stated = {name: stated_input(model.files, name) for name in model.inputs}
    asked = {spec.name: spec for spec in request.inputs}
    unknown = sorted(set(asked) - set(model.inputs))
    if unknown:
        raise UsageError(
            f"the model has no input {unknown[0]!r}", hint=f"Its inputs: {', '.join(model.inputs)}"
        )
    sampled = {spec.name: spec for spec in sample_specs(sample_arrays(model.inputs, request) or {})}
    specs = {name: asked.get(name) or sampled.get(name) or stated[name][1] for name in model.inputs}
    missing = [name for name, spec in specs.items() if spec is None]
    if missing:
        example = " ".join(f"--input '{name}:{stated[name][0]}[batch,3,224,224]'" for name in missing[:3])
        raise MissingInputError(
            f"the symbol does not say the shapes of its inputs ({', '.join(missing)})",
            hint=f"{example} (your shapes; a named axis is dynamic) or --sample file.npz",
        )
    return narrowed(tuple(spec for spec in specs.values() if spec is not None), replace(request, inputs=()))
