"""TensorFlow Lite: ``.tflite`` flatbuffers of any quantisation, through tf2onnx.

tf2onnx's own front end takes the last subgraph in dependency order for the main one, names tensors
by strings that need not be unique, and may return outputs in another order. Here the subgraph of the
chosen signature is parsed under unique names, and the outputs come in the source's order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Mapping

from converters import onnx_checks, tflite_files
from converters.tensorflow_graphs import FAILURES, failed, supported_opset, to_model
from converters.tensorflow_programs import axis_name
from converters.tensorflow_runtime import heard, quiet, tensorflow, versions
from converters.tflite_graphs import parsed
from converters.tflite_integers import in_integers, wanted
from zoo.errors import UnsupportedFileError, UnsupportedModelError, UsageError
from zoo.records import Signature, SourceDescription, TensorSpec, record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import onnx

    from zoo.interfaces import Layer
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors


@record
class LiteModel:
    """A flatbuffer, the entry of it that is converted, and an interpreter that runs it."""

    flatbuffer: Any
    entry: tflite_files.Entry
    interpreter: Any
    signature: Signature


class TFLiteConverter:
    """Converts TensorFlow Lite models; see `docs/frameworks/tflite.md`."""

    framework: ClassVar[str] = "tflite"
    title: ClassVar[str] = "TensorFlow Lite"
    requirements: ClassVar[tuple[str, ...]] = ("tensorflow|tensorflow-cpu", "tf2onnx")
    extra: ClassVar[str] = "tensorflow"
    revision: ClassVar[int] = 2

    def load(self, artifact: Artifact, request: ConversionRequest) -> LiteModel:
        """The model behind option ``signature``, or behind the file's only or first entry.

        Raises:
            UnsupportedModelError: TFLite cannot run it, for instance for a custom operation.
        """
        flatbuffer = tflite_files.read(artifact.path)
        # TFLite verifies every offset of the file; nothing below the root is read before it has.
        interpreter = _interpreter(artifact.path, flatbuffer)
        entry = tflite_files.entry(flatbuffer, request.options.get("signature"))
        tflite_files.refuse_sparse(flatbuffer, entry.subgraph)
        signature = _signature(flatbuffer, entry)
        _refuse_narrowed(signature, request)
        return LiteModel(flatbuffer, entry, interpreter, signature)

    def describe(self, model: LiteModel, request: ConversionRequest) -> SourceDescription:
        """Signature, versions, and notes on a fixed batch and on quantised arithmetic."""
        notes = tflite_files.notes(model.flatbuffer, model.entry.subgraph)
        fixed = [spec for spec in model.signature.inputs if spec.shape and isinstance(spec.shape[0], int)]
        if fixed:
            notes = (*notes, f"the file fixes the first axis of {', '.join(map(str, fixed))}")
        return SourceDescription(model.signature, versions=versions(), notes=notes)

    def convert(self, model: LiteModel, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX at opset 17, or at the requested one from 13 to 18.

        int8 layers are in whole numbers, unless option ``arithmetic`` is ``fused``.
        """
        opset = supported_opset(request.opset)
        with heard() as messages, quiet(), tensorflow().device("/cpu:0"):
            try:
                converted = to_model(lambda: parsed(model.flatbuffer, model.entry, model.interpreter, opset))
            except FAILURES as error:
                raise failed(error, messages) from error
        if wanted(request.options):
            in_integers(converted)
        return onnx_checks.finished(converted, model.signature, messages)

    def predict(self, model: LiteModel, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """TFLite's answer, at the batch size of `feeds` where that is dynamic.

        On the kernels that an interpreter takes by itself (XNNPACK on a CPU): those for int8 round once,
        as ONNX does; TFLite's others round a fixed-point product twice and differ from them by steps.
        """
        if model.entry.signature is not None:
            with quiet():
                results = model.interpreter.get_signature_runner(model.entry.signature)(**feeds)
            return {name: results[name] for name in model.entry.outputs}
        interpreter = tflite_files.invoked(model.interpreter, model.entry, feeds)
        return {name: interpreter.get_tensor(index) for name, index in model.entry.outputs.items()}

    def layers(self, model: LiteModel, feeds: Mapping[str, np.ndarray]) -> list[Layer]:
        """What every operation of the file gives for `feeds`."""
        from converters.tflite_layers import layers

        return layers(model, feeds)


def _interpreter(path: Path, flatbuffer: Any) -> Any:
    lite = tensorflow().lite
    with quiet():
        try:
            interpreter = lite.Interpreter(str(path))
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise _unusable(path, flatbuffer, error) from error
    return interpreter


def _unusable(path: Path, flatbuffer: Any, error: Exception) -> Exception:
    custom = tflite_files.custom_operations(flatbuffer) if "custom op" in str(error) else []
    if custom:
        return UnsupportedModelError(
            f"{path.name} uses the custom operation{'s' * (len(custom) > 1)} {', '.join(custom)}, "
            "which plain TFLite does not have",
            hint="Convert the model from before it was compiled for its device.",
        )
    return UnsupportedFileError(f"TFLite cannot load {path.name}: {onnx_checks.short(str(error))}")


def _signature(flatbuffer: Any, entry: tflite_files.Entry) -> Signature:
    graph = flatbuffer.Subgraphs(entry.subgraph)
    inputs = tuple(_spec(name, graph.Tensors(index)) for name, index in entry.inputs.items())
    return Signature(
        inputs, tuple(_spec(name, graph.Tensors(index)) for name, index in entry.outputs.items())
    )


def _spec(name: str, tensor: Any) -> TensorSpec:
    from onnx import TensorProto
    from onnx.helper import tensor_dtype_to_np_dtype
    from tf2onnx.tflite_utils import map_tflite_dtype_to_onnx

    kind = map_tflite_dtype_to_onnx(tensor.Type())
    dtype = "string" if kind == TensorProto.STRING else str(tensor_dtype_to_np_dtype(kind))
    shape = [] if tensor.ShapeIsNone() else tensor.ShapeAsNumpy().tolist()
    if not tensor.ShapeSignatureIsNone():
        shape = tensor.ShapeSignatureAsNumpy().tolist()
    dims = (axis_name(name, axis, None if size < 0 else size) for axis, size in enumerate(shape))
    return TensorSpec(name, dtype, tuple(dims))


def _refuse_narrowed(signature: Signature, request: ConversionRequest) -> None:
    """A TFLite file's shapes are its own: a request may repeat them, not change them."""
    known = {spec.name: spec for spec in signature.inputs}
    for given in request.inputs:
        spec = known.get(given.name)
        if spec is None:
            raise UsageError(f"the model has no input {given.name!r}", hint=f"Its inputs: {', '.join(known)}")
        fixed = [(a, b) for a, b in zip(spec.shape, given.shape) if isinstance(a, int) and a != b]
        if fixed or len(spec.shape) != len(given.shape) or given.dtype != spec.dtype:
            raise UsageError(f"a TFLite file fixes its inputs: {spec} cannot become {given}")


def preload() -> None:
    """Import what every job of these converters needs; called before the first one, in a warm worker."""
    tensorflow()
