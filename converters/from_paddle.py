"""PaddlePaddle: saved inference models of Paddle 2 and 3, through paddle2onnx."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, Mapping

from converters import onnx_checks
from converters.onnx_tidy import name_inputs, name_outputs, strip_provenance
from converters.tried_signature import described, narrowed
from zoo.errors import UnsupportedModelError
from zoo.records import SourceDescription, record

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.paddle_files import PaddleFiles
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors

DEFAULT_OPSET = 17
OPSETS = range(11, 22)
"""Those that paddle2onnx writes and today's Paddle operations need."""


@record
class PaddleModel:
    """The files of a model, its program as PIR, and the engine that runs it."""

    files: PaddleFiles
    program: Any
    engine: Any


class PaddleConverter:
    """Converts saved inference models; see `docs/frameworks/paddle.md`."""

    framework: ClassVar[str] = "paddle"
    title: ClassVar[str] = "PaddlePaddle"
    requirements: ClassVar[tuple[str, ...]] = ("paddlepaddle|paddlepaddle-gpu", "paddle2onnx")
    extra: ClassVar[str] = "paddle"
    revision: ClassVar[int] = 2

    def load(self, artifact: Artifact, request: ConversionRequest) -> PaddleModel:
        """The model that a program, its parameters or a folder of both belongs to.

        Raises `UnsupportedFileError` where a part is missing, cut off or of another model, and where Paddle
        cannot load what it saved; `UnsafeFileError` for a program that reaches out.
        """
        from converters import paddle_files, paddle_programs, paddle_runtime

        paddle_runtime.prepare()
        files = paddle_files.found(artifact.path, request.kind, request.options)
        program = paddle_programs.read(files)
        if files.parameters is not None:
            paddle_files.refuse_cut_off(files.parameters)
        return PaddleModel(files, program, paddle_runtime.predictor(files))

    def describe(self, model: PaddleModel, request: ConversionRequest) -> SourceDescription:
        """Inputs as the program states them, outputs as they come; both at two sizes of each open axis."""
        from converters import paddle_programs

        specs = narrowed(paddle_programs.inputs(model.program), request)
        rows = paddle_programs.table_rows(model.program)
        description = described(lambda feeds: self.predict(model, feeds), specs, request, rows)
        outputs = [spec.name for spec in description.signature.outputs]
        roles = {outputs[place]: role for place, role in paddle_programs.roles(model.program).items()}
        versions = {name: version(name) for name in ("paddlepaddle", "paddle2onnx")}
        return replace(description, roles=roles, versions=versions)

    def convert(self, model: PaddleModel, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX, at opset 17 or above where an operation needs it.

        Raises `UnsupportedModelError` for operations without an ONNX form, an opset out of reach, and an
        axis that the conversion froze.
        """
        from converters import paddle_cures, paddle_programs, paddle_runtime

        promised = self.describe(model, request).signature
        _refuse_unsupported(paddle_programs.unsupported(model.program))
        graph = paddle_runtime.exported(model.files, _opset(request))
        _refuse_raised(graph, request)
        paddle_cures.cured(graph, model.program)
        name_inputs(graph, promised.inputs)
        name_outputs(graph, promised.outputs)
        strip_provenance(graph)
        return onnx_checks.finished(graph, promised)

    def predict(self, model: PaddleModel, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """What Paddle's inference engine answers, its graph optimisations off."""
        from converters import paddle_runtime

        return paddle_runtime.run(model.engine, feeds)


def _opset(request: ConversionRequest) -> int:
    asked = request.opset or DEFAULT_OPSET
    if asked not in OPSETS:
        raise UnsupportedModelError(
            f"paddle2onnx does not write opset {asked}", hint=f"Ask for {OPSETS[0]} to {OPSETS[-1]}."
        )
    return asked


def _refuse_raised(graph: onnx.ModelProto, request: ConversionRequest) -> None:
    reached = next(entry.version for entry in graph.opset_import if entry.domain in ("", "ai.onnx"))
    if request.opset is not None and reached != request.opset:
        raise UnsupportedModelError(
            f"opset {request.opset} cannot say this model; paddle2onnx needs {reached}",
            hint=f"--opset {reached}, or leave the option out.",
        )


def _refuse_unsupported(names: list[str]) -> None:
    if names:
        raise UnsupportedModelError(
            f"paddle2onnx has no ONNX form for the operation{'s' * (len(names) > 1)} {', '.join(names)}",
            hint="Leave it out of the saved model, or write it with other operations.",
        )
