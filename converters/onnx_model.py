"""An ONNX file as a source: read with care, and run without optimisation."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional

from converters.onnx_tidy import dims, graphs
from converters.trials import BATCH
from zoo.errors import CheckError, UnsafeFileError, UnsupportedFileError, UnsupportedModelError
from zoo.records import Dim, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.tensors import Tensors

ANONYMOUS = ("", "?", "None", "-1")


class OnnxSource:
    """A model, the file it came from (None for a live one), and a session made when first asked."""

    def __init__(self, model: Any, path: Optional[Path] = None) -> None:
        self.model: onnx.ModelProto = model
        self.path = path
        self._session: Any = None

    @property
    def opset(self) -> int:
        """The version of the standard operators, 0 where the model uses none."""
        return next((o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")), 0)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What must be fed: before IR 4 the weights are graph inputs too, and are left out."""
        graph = self.model.graph
        weights = {value.name for value in graph.initializer}
        weights |= {value.values.name for value in graph.sparse_initializer}
        return tuple(spec(value) for value in graph.input if value.name not in weights)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs that are tensors, or sequences of maps that `run` gives as tensors."""
        return tuple(spec(value) for value in self.model.graph.output)

    def run(self, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """The outputs under their names; a ZipMap's dictionaries become a table of their values."""
        session = self.session
        names = [value.name for value in session.get_outputs()]
        wanted = {value.name for value in session.get_inputs()}
        answers = session.run(names, {name: _fed(array) for name, array in feeds.items() if name in wanted})
        return {name: _array(name, answer) for name, answer in zip(names, answers)}

    @property
    def session(self) -> Any:
        """An ONNX Runtime session without graph optimisation; raises `CheckError` where it does not load."""
        if self._session is None:
            self._session = _session(self)
        return self._session


def as_source(model: Any) -> OnnxSource:
    """`model` itself, or a live ModelProto wrapped as one."""
    return model if isinstance(model, OnnxSource) else OnnxSource(model)


def read(path: Path) -> OnnxSource:
    """Parse a file and the external data beside it.

    Raises `UnsupportedFileError` for what is no ONNX, `UnsafeFileError` for data outside the folder.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise UnsupportedFileError(f"{path.name} is not an ONNX file: {error}") from error
    if not model.HasField("graph") or not model.opset_import:
        raise UnsupportedFileError(f"{path.name} has no graph or states no opset: not an ONNX model")
    _check_external_data(model, path)
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except (onnx.checker.ValidationError, ValueError, OSError) as error:
        raise UnsupportedFileError(f"external data of {path.name} cannot be read: {error}") from error
    return OnnxSource(model, path)


def _check_external_data(model: onnx.ModelProto, path: Path) -> None:
    for location in sorted(set(_locations(model))):
        is_rooted = PurePosixPath(location).is_absolute() or PureWindowsPath(location).drive != ""
        if is_rooted or ".." in location.replace("\\", "/").split("/"):
            raise UnsafeFileError(
                f"{path.name} asks for external data at {location!r}, outside its own folder",
                hint="Such a file may read anything on this machine. Do not load it.",
            )
        if not (path.parent / location).is_file():
            raise UnsupportedFileError(
                f"{path.name} needs {location!r} beside it, which is not there",
                hint="Put the data file into the same folder.",
            )


def _locations(model: onnx.ModelProto) -> Iterator[str]:
    import onnx

    for graph in graphs(model.graph):
        tensors = [*graph.initializer]
        for node in graph.node:
            tensors += [attribute.t for attribute in node.attribute if attribute.HasField("t")]
        for tensor in tensors:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                yield from (entry.value for entry in tensor.external_data if entry.key == "location")


def _session(source: OnnxSource) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = str(source.path) if source.path else source.model.SerializeToString()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CheckError(
            f"ONNX Runtime does not load the model: {' '.join(str(error).split())[:600]}"
        ) from error


def spec(value: Any) -> TensorSpec:
    """A graph input or output; an axis without a name gets one, for it is not any other's."""
    kind = value.type.WhichOneof("value")
    if kind == "sequence_type":
        return TensorSpec(value.name, "float32", (BATCH, f"{value.name}_dim1"))
    if kind not in ("tensor_type", "optional_type"):
        raise UnsupportedModelError(f"{value.name!r} is a {kind or 'value without a type'}, not a tensor")
    shape = tuple(_dim(value.name, axis, dim) for axis, dim in enumerate(dims(value)))
    return TensorSpec(value.name, _dtype(value), shape)


def _dtype(value: Any) -> str:
    import onnx

    kind = value.type.tensor_type.elem_type
    if kind == onnx.TensorProto.STRING:
        return "string"
    return str(onnx.helper.tensor_dtype_to_np_dtype(kind))


def _dim(name: str, axis: int, dim: Any) -> Dim:
    if isinstance(dim, int) and dim > 0:
        return dim
    if isinstance(dim, str) and dim not in ANONYMOUS:
        return dim
    return BATCH if axis == 0 else f"{name}_dim{axis}"


def _fed(array: np.ndarray) -> np.ndarray:
    """ONNX Runtime takes arrays, not numpy's scalars, and text as Python strings."""
    import numpy as np

    return array.astype(object) if array.dtype.kind == "U" else np.asarray(array)


def _array(name: str, answer: Any) -> np.ndarray:
    import numpy as np

    if isinstance(answer, np.ndarray):
        return answer.astype(np.str_) if answer.dtype == object else answer
    if isinstance(answer, list) and answer and all(isinstance(row, dict) for row in answer):
        return np.array([list(row.values()) for row in answer])
    if isinstance(answer, list) and all(isinstance(item, np.ndarray) for item in answer):
        raise UnsupportedModelError(f"output {name!r} is a sequence of {len(answer)} tensors")
    return np.asarray(answer)
