"""Test data sets in the form of the ONNX Model Zoo: ``test_data_set_N/input_M.pb`` and ``output_M.pb``.

The files hold a `TensorProto` each (a sequence or a map in few models, which is refused). They were made
by the framework the model came from, so they are a proof of their own: the only one there is for a model
whose source is gone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Optional, Sequence, Tuple

from zoo.errors import UsageError
from zoo.records import FeedCase, TensorSpec, record

if TYPE_CHECKING:
    import numpy as np

    from zoo.records import Signature
    from zoo.tensors import Tensors

_NUMBERED = re.compile(r"(input|output)_(\d+)\.pb$")


@record
class DataSet:
    """Inputs and the outputs that belong to them, by the names of the signature."""

    name: str
    inputs: Any
    outputs: Any

    @property
    def case(self) -> FeedCase:
        first = next(iter(self.inputs.values()))
        return FeedCase(self.name, "sample", int(first.shape[0]) if first.ndim else 1, 0)


def load_test_data_set(folder: Path, signature: Signature) -> DataSet:
    """Read one folder. Raises `UsageError` where files are missing, broken, or more than the signature has.

    Tensors have the names they bear where the signature knows them, else those of their number.
    """
    inputs = _tensors(folder, "input", signature.inputs)
    outputs = _tensors(folder, "output", signature.outputs)
    if len(inputs) != len(signature.inputs) or not outputs:
        raise UsageError(
            f"{folder} has {len(inputs)} inputs and {len(outputs)} outputs, the model takes"
            f" {len(signature.inputs)} inputs",
            hint="A test data set has the files input_0.pb …, output_0.pb …",
        )
    return DataSet(Path(folder).name, inputs, outputs)


def all_test_data_sets(folder: Path, signature: Signature) -> Iterator[DataSet]:
    """All folders ``test_data_set_*`` below `folder`, in order of their numbers."""
    found = [path for path in Path(folder).glob("test_data_set_*") if path.is_dir()]
    for path in sorted(found, key=lambda path: (len(path.name), path.name)):
        yield load_test_data_set(path, signature)


def _tensors(folder: Path, side: str, specs: Sequence[TensorSpec]) -> Tensors:
    known = {spec.name for spec in specs}
    tensors: Tensors = {}
    for number, path in sorted(_numbered(folder, side)):
        name, array = _read(path)
        if name not in known:
            if number >= len(specs):
                raise UsageError(f"{path} is beyond the {len(specs)} {side}s of the model")
            name = specs[number].name
        tensors[name] = array
    return tensors


def _numbered(folder: Path, side: str) -> Iterator[Tuple[int, Path]]:
    for path in Path(folder).iterdir():
        match = _NUMBERED.search(path.name)
        if match is not None and match.group(1) == side:
            yield int(match.group(2)), path


def _read(path: Path) -> Tuple[Optional[str], np.ndarray]:
    import numpy as np
    import onnx
    from google.protobuf.message import DecodeError

    tensor = onnx.TensorProto()
    try:
        tensor.ParseFromString(path.read_bytes())
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise UsageError(f"{path} keeps its data in another file, which is not read")
        array = onnx.numpy_helper.to_array(tensor)
    except (DecodeError, ValueError, TypeError, OSError) as error:
        raise UsageError(f"{path} holds no tensor: {error}") from error
    return tensor.name, array.astype(np.str_) if array.dtype == object else array
