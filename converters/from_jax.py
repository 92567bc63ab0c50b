"""JAX: parameters of Flax, Orbax or a pickle with the function that reads them, and live functions.

A checkpoint has no computation in it: ``--builder module:callable`` names the code that has. See
docs/frameworks/jax.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Mapping

from converters import jax_files, jax_programs, jax_routes, onnx_checks
from converters.feed_options import with_options
from converters.jax_runtime import versions
from converters.onnx_tidy import strip_provenance
from converters.torch_code import imported
from zoo.errors import MissingInputError
from zoo.records import ColumnDomain, Domain, Signature, SourceDescription

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.jax_programs import Program
    from zoo.records import Artifact, ConversionRequest, TensorSpec
    from zoo.tensors import Tensors


class JaxConverter:
    """Converts JAX functions and Flax modules through jax2onnx."""

    framework: ClassVar[str] = "jax"
    title: ClassVar[str] = "JAX"
    requirements: ClassVar[tuple[str, ...]] = ("jax", "jax2onnx")
    extra: ClassVar[str] = "jax"
    revision: ClassVar[int] = 1

    def __init__(self) -> None:
        self._programs: list[tuple[Any, Program]] = []
        self._inputs: tuple[TensorSpec, ...] = ()

    def load(self, artifact: Artifact, request: ConversionRequest) -> Program:
        """The function that option ``builder`` makes, over the file's parameters.

        ``builder_kwargs`` are its arguments. Raises `UnsupportedFileError` for a file that cannot be read
        or that holds no parameters, `MissingInputError` without a builder.
        """
        jax_files.refuse_programs(artifact.path, request.kind)
        target = request.options.get("builder")
        if target is None:
            raise MissingInputError(
                f"{artifact.path.name} holds parameters, and nothing of the function that uses them",
                hint="--builder mypackage.nets:make, which gives a Flax module or a function of "
                "(parameters, *inputs); and --input for each input",
            )
        tree = jax_files.parameters(artifact.path, request.kind)
        make = imported(str(target), artifact.path.parent)
        return jax_programs.built(make(**request.options.get("builder_kwargs", {})), tree)

    def describe(self, model: Any, request: ConversionRequest) -> SourceDescription:
        """The inputs of the request or the sample; outputs as JAX infers them, dynamic axes included."""
        signature = self._signature(model, request)
        domains = tuple(_domain(spec) for spec in signature.inputs)
        return with_options(SourceDescription(signature, domains, versions=versions()), request.options)

    def convert(self, model: Any, request: ConversionRequest) -> onnx.ModelProto:
        """The function as ONNX at opset 21, or at 22 or 23 where asked."""
        signature = self._signature(model, request)
        converted = jax_routes.convert(self._program(model).function, signature, request.opset)
        strip_provenance(converted)
        return onnx_checks.finished(converted, signature)

    def predict(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """What the compiled function gives on the CPU."""
        return jax_programs.answered(self._program(model), self._inputs, feeds)

    def _signature(self, model: Any, request: ConversionRequest) -> Signature:
        self._inputs = jax_programs.inputs_of(request)
        return Signature(self._inputs, jax_programs.outputs_of(self._program(model), self._inputs))

    def _program(self, model: Any) -> Program:
        """The program of a model, made once, for it is compiled anew each time."""
        if isinstance(model, jax_programs.Program):
            return model
        known = next((made for kept, made in self._programs if kept is model), None)
        if known is None:
            known = jax_programs.program(model)
            self._programs.append((model, known))
        return known


def _domain(spec: TensorSpec) -> Domain:
    return Domain((ColumnDomain(integral=not spec.dtype.startswith(("float", "bfloat"))),))
