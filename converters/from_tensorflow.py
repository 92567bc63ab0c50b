"""TensorFlow and Keras: SavedModel, ``.keras``, HDF5 and frozen graphs, through tf2onnx.

All kinds are traced into one function with named inputs and outputs (`tensorflow_programs`). The
reference runs that function and tf2onnx reads it. Where tf2onnx's own front ends differ from this
(``from_keras`` raises KeyError on every Keras 3 Sequential model) they are not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Mapping

from converters import tensorflow_keras, tensorflow_models, tensorflow_saved_models
from converters.tensorflow_graphs import as_onnx
from converters.tensorflow_layers import layers
from converters.tensorflow_layouts import channel_last, is_channel_first
from converters.tensorflow_programs import Program, arithmetic, run, trace
from converters.tensorflow_runtime import tensorflow, tf2onnx, versions
from zoo.errors import ConversionError, UnsupportedFileError
from zoo.records import SourceDescription, record

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.tensorflow_models import Source
    from zoo.interfaces import Layer
    from zoo.records import Artifact, ConversionRequest, TensorSpec
    from zoo.tensors import Tensors


class TensorFlowConverter:
    """Converts TensorFlow 1 and 2 and Keras 2 and 3 models; see `docs/frameworks/tensorflow.md`."""

    framework: ClassVar[str] = "tensorflow"
    title: ClassVar[str] = "TensorFlow"
    requirements: ClassVar[tuple[str, ...]] = ("tensorflow|tensorflow-cpu", "keras", "tf2onnx")
    extra: ClassVar[str] = "tensorflow"
    revision: ClassVar[int] = 2

    def __init__(self) -> None:
        self._live: Loaded | None = None
        self._twin: tuple[Source, Source | None] | None = None

    def load(self, artifact: Artifact, request: ConversionRequest) -> Loaded:
        """The model of a file, traced at the shapes it records or that the request gives."""
        tensorflow()
        readers = {
            "saved_model": tensorflow_saved_models.saved_model,
            "frozen_graph": tensorflow_models.frozen_graph,
            "keras": tensorflow_keras.keras_archive,
            "h5": tensorflow_keras.hdf5_model,
            "h5_weights": tensorflow_keras.hdf5_weights,
        }
        reader = readers.get(request.kind)
        if reader is None:
            raise UnsupportedFileError(f"no TensorFlow reader for {request.kind!r} files")
        model = reader(artifact.path, request)
        is_source = request.kind in ("saved_model", "frozen_graph")
        return _traced(model if is_source else tensorflow_keras.keras_source(model), request.inputs)

    def describe(self, model: Any, request: ConversionRequest) -> SourceDescription:
        """Signature and versions. Raises `MissingInputError` where an input's rank is not recorded."""
        loaded = self._loaded(model, request.inputs)
        return SourceDescription(
            loaded.program.signature,
            versions=versions(),
            notes=loaded.source.notes,
            arithmetic=arithmetic(loaded.program),
        )

    def convert(self, model: Any, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX at opset 17, or at the requested one from 13 to 18."""
        return as_onnx(self._loaded(model, request.inputs).program, request.opset)

    def predict(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """TensorFlow's answer, computed by the function that was converted."""
        return run(self._loaded(model).program, feeds)

    def predict_precise(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors | None:
        """A Keras model's answer in float64; None for one that has none, and for other sources."""
        from converters.tensorflow_precise import precise_twin, predicted

        loaded = self._loaded(model)
        if self._twin is None or self._twin[0] is not loaded.source:
            self._twin = (loaded.source, precise_twin(loaded.source))
        twin = self._twin[1]
        return None if twin is None else predicted(twin, feeds, loaded.program.signature)

    def layers(self, model: Any, feeds: Mapping[str, np.ndarray]) -> list[Layer]:
        """What every layer of a functional Keras model gives for `feeds`; of other models, nothing."""
        return layers(self._loaded(model).source.owner, feeds)

    def _loaded(self, model: Any, requested: tuple[TensorSpec, ...] = ()) -> Loaded:
        """A file's model as it is; the last live one, traced again when the request changes its inputs."""
        if isinstance(model, Loaded):
            return model
        known = self._live
        if known is None or known.source.owner is not model or (requested and requested != known.requested):
            known = self._live = _traced(_live_source(model), requested)
        return known


@record
class Loaded:
    """A source, the inputs that were asked for, and the program traced from both."""

    source: Source
    requested: tuple[TensorSpec, ...]
    program: Program


def _traced(source: Source, requested: tuple[TensorSpec, ...]) -> Loaded:
    program = trace(source.call, source.ports, source.owner, requested)
    if is_channel_first(program):
        turned = channel_last(program)
        specs = program.signature.inputs
        program = trace(turned.call, turned.ports, turned.owner, specs)
    return Loaded(source, requested, program)


def _live_source(model: Any) -> Source:
    if tensorflow_keras.is_keras_model(model):
        return tensorflow_keras.keras_source(model)
    if callable(model) and hasattr(model, "get_concrete_function"):
        return tensorflow_models.function(model)
    raise ConversionError(
        f"a {type(model).__module__}.{type(model).__qualname__} is no Keras model and no tf.function",
        hint="Pass a Keras model, or a tf.function with an input_signature.",
    )


def preload() -> None:
    """Import what every job of these converters needs; called before the first one, in a warm worker."""
    tensorflow()
    tf2onnx()
