"""Files that are ONNX already: checked, upgraded on request, and run without optimisation as reference."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Mapping

from converters.feed_options import with_options
from zoo.errors import CheckError, UnsupportedModelError
from zoo.records import Signature, SourceDescription

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.onnx_model import OnnxSource
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors


class OnnxConverter:
    """Takes ONNX as it is: the same graph, unless another opset is asked for."""

    framework = "onnx"
    title = "ONNX"
    requirements = ("onnx", "onnxruntime")
    extra = "all"
    revision = 1

    def load(self, artifact: Artifact, request: ConversionRequest) -> OnnxSource:
        """The model in a file. Raises `UnsafeFileError` for external data outside its folder."""
        from converters.onnx_model import read

        return read(artifact.path)

    def describe(self, model: Any, request: ConversionRequest) -> SourceDescription:
        """Inputs of the graph that are no weights, with values that its operators accept."""
        from converters.onnx_checks import roles
        from converters.onnx_domains import known_inputs, tried_axes
        from converters.onnx_model import as_source

        source = as_source(model)
        known = known_inputs(source, request)
        axes, notes = tried_axes(source, known)
        description = SourceDescription(
            signature=Signature(known.specs, source.outputs),
            domains=known.domains,
            roles=roles(source.model.graph),
            versions={name: version(name) for name in ("onnx", "onnxruntime")},
            axes=axes,
            notes=notes,
        )
        return with_options(description, request.options)

    def convert(self, model: Any, request: ConversionRequest) -> onnx.ModelProto:
        """The checked model, at the opset asked for.

        Raises `CheckError` for an invalid file, `UnsupportedModelError` for an opset out of reach.
        """
        from converters.onnx_model import as_source

        source = as_source(model)
        _check(source)
        if request.opset is None or request.opset == source.opset:
            return source.model
        return _at_opset(source, request.opset)

    def predict(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """What ONNX Runtime answers with every optimisation off."""
        from converters.onnx_model import as_source

        return as_source(model).run(feeds)


def _check(source: OnnxSource) -> None:
    import onnx

    try:
        onnx.checker.check_model(str(source.path) if source.path else source.model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise CheckError(f"not a valid ONNX file: {str(error).strip()[:600]}") from error


def _at_opset(source: OnnxSource, opset: int) -> onnx.ModelProto:
    """onnx's own version converter; that its result computes the same is for the verifier to say."""
    import onnx
    from onnx import version_converter

    try:
        converted = version_converter.convert_version(source.model, opset)
        onnx.checker.check_model(converted)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise UnsupportedModelError(
            f"opset {opset} cannot be reached from opset {source.opset}: {reason}",
            hint="Leave out --opset: the file works as it is.",
        ) from error
    return converted
