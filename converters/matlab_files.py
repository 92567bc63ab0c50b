"""What MATLAB answered, from a ``.mat`` file: arrays in MATLAB's order of axes, turned into ONNX's.

MATLAB names the axes of a ``dlarray`` by letters: S spatial, C channel, B batch, T time. An image batch
is ``SSCB`` there (height, width, channels, batch) and ``BCSS`` in the exported file; a sequence is
``CBT`` there and ``TBC`` in ONNX. Axes of size one at the end do not exist in MATLAB; they are added.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Iterator, Optional, Sequence

from zoo.errors import UnsupportedFileError, UsageError
from zoo.records import TensorSpec, record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from zoo.tensors import Tensors

FORMATS = {2: "BC", 4: "SSCB", 5: "SSSCB"}
"""What an array is taken for that states no format, by the rank of the graph's input or output."""
LETTERS = "SCBT"


@record
class Recorded:
    """Rows that MATLAB was asked and what it answered, under the graph's names and in its order."""

    inputs: Tensors
    outputs: Tensors
    digest: str
    name: str
    is_sequence: bool = False
    """Whether time comes first: then the arrays are one recorded batch, and have no single rows."""


def recorded(path: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Recorded:
    """The rows of a ``.mat`` file with X and Y, or X1, X2, … and Y1, …, or the graph's own names.

    Raises `UnsupportedFileError` for a file that is no MAT-file, `UsageError` where a variable is
    missing or does not fit the graph.
    """
    variables = read_mat(path)
    fed = {spec.name: _input(variables, spec, name) for spec, name in _named(variables, inputs, "X")}
    rows = min(len(array) for array in fed.values())
    answers = _named(variables, outputs, "Y")
    answered = {spec.name: _output(variables, spec, name, rows) for spec, name in answers}
    is_sequence = any(
        "T" in str(variables.get(f"{name}format", "")) for _, name in _named(variables, inputs, "X")
    )
    for name, array in {} if is_sequence else {**fed, **answered}.items():
        if len(array) != rows:
            raise UsageError(
                f"{path.name}: {name} has {len(array)} rows where others have {rows}",
                hint="The batch is the last axis of images; state the order with Xformat and Yformat.",
            )
    return Recorded(fed, answered, hashlib.sha256(path.read_bytes()).hexdigest(), path.name, is_sequence)


def read_mat(path: Path) -> dict[str, Any]:
    """The numeric arrays and texts of a MAT-file of version 4 to 7.3, with MATLAB's axes.

    Structs, cells and objects are left out. Raises `UnsupportedFileError` for what is no MAT-file.
    """
    import h5py

    try:
        return _read_hdf5(path) if h5py.is_hdf5(str(path)) else _read_older(path)
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, EOFError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnsupportedFileError(
            f"{path.name} cannot be read as a MAT-file: {reason}",
            hint="Save it anew with `save(file, '-v7')`.",
        ) from error


def _read_older(path: Path) -> dict[str, Any]:
    import scipy.io

    found = {}
    for name, value in scipy.io.loadmat(str(path)).items():
        if name.startswith("__") or getattr(value, "dtype", None) is None:
            continue
        if value.dtype.kind == "U":
            found[name] = str(value.ravel()[0]) if value.size else ""
        elif value.dtype.kind in "fiub":
            found[name] = value
    return found


def _read_hdf5(path: Path) -> dict[str, Any]:
    import h5py

    found = {}
    with h5py.File(str(path), "r") as file:
        for name in file:
            linked = isinstance(file.get(name, getlink=True), h5py.HardLink)
            value = file[name] if linked else None
            if not isinstance(value, h5py.Dataset) or value.external or value.is_virtual:
                continue
            kind = value.attrs.get("MATLAB_class", b"")
            if value.attrs.get("MATLAB_empty", 0) or value.dtype.kind not in "fiub":
                continue
            array = value[()].T  # HDF5 has rows first, MATLAB columns
            found[name] = "".join(map(chr, array.ravel(order="F"))) if kind == b"char" else array
    return found


def _named(
    variables: dict[str, Any], specs: Sequence[TensorSpec], letter: str
) -> Iterator[tuple[TensorSpec, str]]:
    for number, spec in enumerate(specs, 1):
        names = [spec.name, *([letter] if len(specs) == 1 else []), f"{letter}{number}"]
        name = next((name for name in names if name in variables), None)
        if name is None:
            listed = ", ".join(sorted(variables)) or "none"
            raise UsageError(
                f"the .mat file has no variable {' or '.join(names)}; it has {listed}",
                hint="Save the inputs as X (X1, X2, … of several) and the outputs as Y (Y1, Y2, …).",
            )
        yield spec, name


def _input(variables: dict[str, Any], spec: TensorSpec, name: str) -> np.ndarray:
    return arranged(variables[name], spec, _format(variables, name, spec), name)


def _output(variables: dict[str, Any], spec: TensorSpec, name: str, rows: int) -> np.ndarray:
    array = variables[name]
    stated = variables.get(f"{name}format")
    if stated is None and array.ndim == 2:
        # `predict` of a network gives N-by-K, of a dlnetwork K-by-N.
        turned = len(array) != rows and array.shape[1] == rows
        return arranged(array, spec, "CB" if turned else "BC", name)
    return arranged(array, spec, _format(variables, name, spec), name)


def _format(variables: dict[str, Any], name: str, spec: TensorSpec) -> str:
    stated = variables.get(f"{name}format", FORMATS.get(len(spec.shape)))
    if not isinstance(stated, str):
        raise UsageError(
            f"the order of the axes of {name} is not known: {spec.name!r} has {len(spec.shape)} of them",
            hint=f"Save it beside: {name}format = 'CBT'; S spatial, C channel, B batch, T time.",
        )
    return stated.upper()


def arranged(array: np.ndarray, spec: TensorSpec, order: str, name: str) -> np.ndarray:
    """`array` with MATLAB's axes `order` as the graph's `spec` has it, in its dtype.

    Time comes first, then batch, channel and the spatial axes.
    """
    import numpy as np

    if set(order) - set(LETTERS) or any(order.count(letter) > 1 for letter in "CBT"):
        raise UsageError(f"{name}format is {order!r}: it may have S several times, and C, B and T once each")
    if array.ndim > len(order) and not (array.ndim == 2 and array.shape[1] == 1):
        raise UsageError(
            f"{name} has {array.ndim} axes, but its order is {order!r}", hint=f"Save {name}format."
        )
    sizes = [*array.shape, *[1] * len(order)][: len(order)]
    whole = np.asarray(array).reshape(sizes)
    if "B" not in order:
        whole, order = whole[..., None], order + "B"
    places = [i for letter in "TBCS" for i, found in enumerate(order) if found == letter]
    result = _ranked(whole.transpose(places), spec, (name, "T" in order))
    return np.ascontiguousarray(result, dtype=None if spec.dtype == "string" else spec.dtype)


def _ranked(array: np.ndarray, spec: TensorSpec, variable: tuple[str, bool]) -> np.ndarray:
    """`array` with axes of size one added or left out at its end, as the graph has them."""
    rank, (name, is_sequence) = len(spec.shape), variable
    shape: Optional[tuple[int, ...]] = tuple(array.shape)
    if array.ndim < rank:
        shape = (*array.shape, *[1] * (rank - array.ndim))
    elif array.ndim > rank:
        shape = array.shape[:rank] if all(size == 1 for size in array.shape[rank:]) else None
    batch = 1 if is_sequence else 0
    fits = shape is not None and all(
        size == wanted or not isinstance(wanted, int) or axis == batch
        for axis, (size, wanted) in enumerate(zip(shape, spec.shape))
    )
    if shape is None or not fits:
        raise UsageError(
            f"{name} has the shape {list(array.shape)} in ONNX's order, the graph wants {spec}",
            hint=f"Save {name}format: 'SSCB' is height, width, channels, batch, in the order of MATLAB.",
        )
    return array.reshape(shape)
