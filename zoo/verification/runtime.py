"""ONNX Runtime on the CPU, as the verifier uses it: quiet, with known threads and optimisation.

Everything comes back as plain arrays that `zoo.tensors` can save: text as unicode, bfloat16 as the
float32 of the same value, a sequence of maps (ZipMap) as a matrix with one column for each key.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Tuple, Union

from zoo.errors import CheckError, MissingPackageError, VerificationError
from zoo.records import Dim, Signature, TensorSpec

if TYPE_CHECKING:
    import numpy as np

    from zoo.tensors import Tensors

LEVELS = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
"""Names of the optimisation levels and their constants in ONNX Runtime."""

_DTYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "string": "string",
    "bool": "bool",
}


class Session:
    """A loaded model, a file or its bytes, that runs feeds. Reuse it: loading costs more than most runs.

    Raises `CheckError` when ONNX Runtime does not load the file.
    """

    def __init__(self, model: Union[Path, bytes], *, threads: int = 1, optimisation: str = "all") -> None:
        ort = _onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, LEVELS[optimisation])
        try:
            content = model if isinstance(model, bytes) else str(model)
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class but Exception
            name = "the graph" if isinstance(model, bytes) else Path(model).name
            raise CheckError(
                f"ONNX Runtime {ort.__version__} does not load {name}: {_why(model, first_line(error))}"
            ) from error

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Inputs that must be fed, with numpy dtype names."""
        return tuple(_spec(value) for value in self._session.get_inputs())

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return tuple(_spec(value) for value in self._session.get_outputs())

    @property
    def signature(self) -> Signature:
        return Signature(self.inputs, self.outputs)

    def run(self, feeds: Tensors, outputs: Optional[Sequence[str]] = None) -> Tensors:
        """The outputs by name, in the order of the graph or of `outputs`.

        Raises `VerificationError` when inputs are missing or the runtime fails on these values.
        """
        names = list(outputs or [spec.name for spec in self.outputs])
        values = self._feedable(feeds)
        try:
            answers = self._answers(names, values)
        except Exception as error:  # its exceptions share no base class but Exception
            raise VerificationError(f"ONNX Runtime fails on these inputs: {first_line(error)}") from error
        return flattened(names, answers)

    def _feedable(self, feeds: Tensors) -> dict[str, Any]:
        missing = [spec.name for spec in self.inputs if spec.name not in feeds]
        if missing:
            raise VerificationError(
                f"the graph wants the input {missing[0]!r}, the feeds have {sorted(feeds)}",
                hint="`zoo.verification.matching` adapts feeds to a graph with other inputs.",
            )
        return {spec.name: _as_input(feeds[spec.name], spec.dtype) for spec in self.inputs}

    def _answers(self, names: list[str], values: dict[str, Any]) -> list[Any]:
        bfloat16 = any(spec.dtype == "bfloat16" for spec in (*self.inputs, *self.outputs))
        if not bfloat16:
            return list(self._session.run(names, values))
        ort = _onnxruntime()
        wrapped = {
            name: value if isinstance(value, ort.OrtValue) else ort.OrtValue.ortvalue_from_numpy(value)
            for name, value in values.items()
        }
        return [_from_ort_value(value) for value in self._session.run_with_ort_values(names, wrapped)]


def run(
    model_path: Path,
    feeds: Tensors,
    outputs: Optional[Sequence[str]] = None,
    *,
    threads: int = 1,
    optimisation: str = "all",
) -> Tensors:
    """Load the model and run it once; for several runs keep a `Session`."""
    return Session(model_path, threads=threads, optimisation=optimisation).run(feeds, outputs)


def first_line(error: BaseException) -> str:
    """What an exception says, on one line of at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def dtype_name(onnx_type: str) -> str:
    """``tensor(float)`` → ``float32``; a type that is no tensor stays as it is."""
    if not onnx_type.startswith("tensor("):
        return onnx_type
    name = onnx_type[len("tensor(") : -1]
    return _DTYPES.get(name, name)


def flattened(names: Sequence[str], answers: Sequence[Any]) -> Tensors:
    """Plain arrays: maps become columns in the order of their sorted keys, sequences are stacked.

    A sequence of tensors whose shapes differ becomes ``name.0``, ``name.1``, …
    """
    result: Tensors = {}
    for i, name in enumerate(names):
        answer = answers[i]
        if answer is None:
            continue
        if isinstance(answer, list):
            result.update(_from_sequence(name, answer))
        elif isinstance(answer, dict):
            result[name] = _from_maps([answer])[0]
        else:
            result[name] = _plain(answer)
    return result


def _from_sequence(name: str, items: list[Any]) -> Tensors:
    import numpy as np

    if items and isinstance(items[0], dict):
        return {name: _from_maps(items)}
    arrays = [_plain(item) for item in items]
    if len({array.shape for array in arrays}) == 1:
        return {name: np.stack(arrays)}
    if not arrays:
        return {name: np.zeros((0,), dtype=np.float32)}
    return {f"{name}.{i}": array for i, array in enumerate(arrays)}


def _from_maps(maps: Sequence[Mapping[Any, Any]]) -> np.ndarray:
    """One row for each map, one float32 column for each key; numbers sort as numbers."""
    import numpy as np

    keys = sorted(maps[0])
    return np.array([[row[key] for key in keys] for row in maps], dtype=np.float32)


def _plain(value: Any) -> np.ndarray:
    import numpy as np

    array = np.asarray(value)
    return array.astype(np.str_) if array.dtype == object else array


def _as_input(array: np.ndarray, dtype: str) -> Any:
    import numpy as np

    if dtype == "string":
        return np.asarray(array).astype(object)
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32) >> np.uint32(16)
        ort = _onnxruntime()
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits.astype(np.uint16), _BFLOAT16)
    return np.ascontiguousarray(array)


_BFLOAT16 = 16  # TensorProto.BFLOAT16


def _from_ort_value(value: Any) -> Any:
    """The array of an OrtValue; numpy has no bfloat16, so its bits are read and widened."""
    import ctypes

    import numpy as np

    if value.data_type() != "tensor(bfloat16)":
        return value.numpy()
    shape: Tuple[int, ...] = tuple(value.shape())
    count = int(np.prod(shape, dtype=np.int64))
    if not count:
        return np.zeros(shape, dtype=np.float32)
    buffer = (ctypes.c_uint16 * count).from_address(value.data_ptr())
    bits = np.ctypeslib.as_array(buffer).astype(np.uint32) << np.uint32(16)
    return bits.view(np.float32).reshape(shape)


def _why(model: Union[Path, bytes], message: str) -> str:
    """ONNX Runtime's message; of a graph without outputs it only says where in its own code it stopped."""
    import onnx

    try:
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        outputs = len(onnx.ModelProto.FromString(content).graph.output)
    except Exception:  # noqa: BLE001 - no protobuf, or none of ONNX's: the message says so
        return message
    return message if outputs else "its graph has no outputs"


def _spec(value: Any) -> TensorSpec:
    return TensorSpec(value.name, dtype_name(value.type), tuple(_dim(dim) for dim in value.shape or ()))


def _dim(dim: Any) -> Dim:
    """ONNX Runtime gives None for an axis without a name."""
    return dim if isinstance(dim, int) else str(dim or "?")


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError("onnxruntime is not installed", hint="pip install onnxruntime") from error
    onnxruntime.set_default_logger_severity(4)
    return onnxruntime
