"""Test data sets in the form of the ONNX Model Zoo: ``test_data_set_N/input_M.pb`` and ``output_M.pb``.

The files hold a `TensorProto` each (a sequence or a map in few models, which is refused). They were made
by the framework the model came from, so they are a proof of their own: the only one there is for a model
whose source is gone.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Sequence, Tuple

from zoo.errors import UsageError
from zoo.records import FeedCase, TensorSpec, record

if TYPE_CHECKING:
    import numpy as np

    from zoo.records import Signature
    from zoo.tensors import Tensors

DATA_SET = "data_set"
"""The family of cases whose answer came with them."""
MAX_TENSOR = 1 << 30
"""Bytes of one file of an archive."""
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
        return FeedCase(self.name, DATA_SET, int(first.shape[0]) if first.ndim else 1, 0)


def read_data_sets(path: Path, signature: Signature) -> Iterator[DataSet]:
    """The data sets of a folder ``test_data_set_N``, of a folder that holds some, or of a tar archive.

    In order of their numbers. Raises `UsageError` where there is none, or one that cannot be read.
    """
    folders = _archived(path) if path.is_file() else _in_folder(path)
    if not folders:
        raise UsageError(f"{path} holds no test_data_set_* with input_0.pb …, output_0.pb …")
    for name in sorted(folders, key=lambda name: (len(name), name)):
        yield _data_set(name, folders[name], signature)


def beside(model: Path) -> Tuple[Path, ...]:
    """The folders ``test_data_set_*`` that lie beside a model file."""
    found = [path for path in model.parent.glob("test_data_set_*") if path.is_dir()]
    return tuple(sorted(found, key=lambda path: (len(path.name), path.name)))


Files = Dict[str, Callable[[], bytes]]
"""File names of one data set, and how to read each."""


def _in_folder(path: Path) -> Dict[str, Files]:
    folders = [path, *path.glob("test_data_set_*")]
    found = {folder.name: _files(folder) for folder in folders if folder.is_dir()}
    return {name: files for name, files in found.items() if files}


def _files(folder: Path) -> Files:
    return {path.name: path.read_bytes for path in folder.iterdir() if _NUMBERED.search(path.name)}


def _archived(path: Path) -> Dict[str, Files]:
    """Read in memory, a file at a time: nothing of an archive is written anywhere."""
    sets: Dict[str, Files] = {}
    try:
        archive = tarfile.open(path)  # noqa: SIM115 - read when its files are
        members = [member for member in archive if member.isfile() and _NUMBERED.search(member.name)]
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise UsageError(f"{path} is no tar archive of test data sets: {reason}") from error
    for member in members:
        if member.size > MAX_TENSOR:
            raise UsageError(f"{member.name} in {path} has {member.size} bytes, more than {MAX_TENSOR}")
        folder = PurePosixPath(member.name).parent.name
        sets.setdefault(folder, {})[PurePosixPath(member.name).name] = partial(_member, archive, member)
    return sets


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def _data_set(name: str, files: Files, signature: Signature) -> DataSet:
    inputs = _tensors(files, "input", signature.inputs)
    outputs = _tensors(files, "output", signature.outputs)
    if len(inputs) != len(signature.inputs) or not outputs:
        raise UsageError(
            f"{name} has {len(inputs)} inputs and {len(outputs)} outputs, the model takes"
            f" {len(signature.inputs)} inputs",
            hint="A test data set has the files input_0.pb …, output_0.pb …",
        )
    return DataSet(name, inputs, outputs)


def _tensors(files: Files, side: str, specs: Sequence[TensorSpec]) -> Tensors:
    """By the name a tensor bears where the signature knows it, else by its number."""
    known = {spec.name for spec in specs}
    tensors: Tensors = {}
    for number, file in sorted(_numbered(files, side)):
        name, array = _read(file, files[file])
        if name not in known:
            if number >= len(specs):
                raise UsageError(f"{file} is beyond the {len(specs)} {side}s of the model")
            name = specs[number].name
        tensors[name] = array
    return tensors


def _numbered(files: Files, side: str) -> Iterator[Tuple[int, str]]:
    for name in files:
        match = _NUMBERED.search(name)
        if match is not None and match.group(1) == side:
            yield int(match.group(2)), name


def _read(name: str, content: Callable[[], bytes]) -> Tuple[str, np.ndarray]:
    import numpy as np
    import onnx
    from google.protobuf.message import DecodeError

    tensor = onnx.TensorProto()
    try:
        tensor.ParseFromString(content())
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise UsageError(f"{name} keeps its data in another file, which is not read")
        array = onnx.numpy_helper.to_array(tensor)
    except (DecodeError, ValueError, TypeError, OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise UsageError(f"{name} holds no tensor: {error}") from error
    return tensor.name, array.astype(np.str_) if array.dtype == object else array
