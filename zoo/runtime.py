"""A model that is ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import CheckError, UsageError
from zoo.records import Signature, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime


class LoadedModel:
    """An ONNX Runtime session with its signature; call it with inputs by name or in order."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self.path = Path(path)
        self.session = _session(self.path, threads)
        self.signature = Signature(
            tuple(_spec(node) for node in self.session.get_inputs()),
            tuple(_spec(node) for node in self.session.get_outputs()),
        )

    def __call__(self, *arrays: Any, **named: Any) -> dict[str, np.ndarray]:
        """Outputs by name. Takes one mapping, or arrays in the order of the signature, or keywords."""
        feeds = (
            dict(arrays[0]) if len(arrays) == 1 and isinstance(arrays[0], Mapping) else self._in_order(arrays)
        )
        feeds.update(named)
        missing = [spec.name for spec in self.signature.inputs if spec.name not in feeds]
        if missing:
            raise UsageError(
                f"missing input {', '.join(missing)}", hint=f"Inputs: {_listed(self.signature.inputs)}"
            )
        names = [spec.name for spec in self.signature.outputs]
        return dict(zip(names, self.session.run(names, feeds), strict=True))

    def _in_order(self, arrays: tuple[Any, ...]) -> dict[str, Any]:
        if len(arrays) > len(self.signature.inputs):
            raise UsageError(
                f"{len(arrays)} inputs given, the model has {len(self.signature.inputs)}",
                hint=f"Inputs: {_listed(self.signature.inputs)}",
            )
        return {spec.name: array for spec, array in zip(self.signature.inputs, arrays, strict=False)}

    def __repr__(self) -> str:
        inputs, outputs = _listed(self.signature.inputs), _listed(self.signature.outputs)
        return f"<LoadedModel {self.path.name}: {inputs} -> {outputs}>"


def _session(path: Path, threads: int | None) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many kinds, none of which a caller can tell apart
        raise CheckError(f"ONNX Runtime does not load {path}: {error}") from error


def _spec(node: Any) -> TensorSpec:
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    dtype = {"float": "float32", "double": "float64"}.get(kind, kind)
    shape = tuple(dim if isinstance(dim, int) else str(dim or "?") for dim in node.shape or ())
    return TensorSpec(node.name, dtype, shape)


def _listed(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(map(str, specs))
