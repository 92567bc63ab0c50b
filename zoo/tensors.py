"""Named tensors on disk, as .npz without pickles, so that no process has to trust another.

Text is a numpy unicode array in memory and on disk.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Dict

from zoo.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Tensors = Dict[str, "np.ndarray"]


def save_tensors(path: Path, tensors: Tensors) -> None:
    """Write `tensors`; object arrays of strings become unicode arrays."""
    import numpy as np

    names = list(tensors)
    arrays = {f"t{i}": _plain(tensors[name]) for i, name in enumerate(names)}
    arrays["names"] = np.array(names, dtype=np.str_)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_tensors(path: Path) -> Tensors:
    """Read what `save_tensors` wrote, in its order. Never unpickles."""
    import numpy as np

    with np.load(path, allow_pickle=False) as data:
        return {str(name): data[f"t{i}"] for i, name in enumerate(data["names"])}


def _plain(array: np.ndarray) -> np.ndarray:
    import numpy as np

    array = np.asarray(array)
    if array.dtype == object:
        return np.array([str(item) for item in array.ravel()], dtype=np.str_).reshape(array.shape)
    return array


def read_sample(path: Path) -> Tensors:
    """Read example rows from a file of the user's.

    ``.npz`` gives its arrays by name (one of `save_tensors` under the names it was given), ``.npy``
    one array under the name ``""``, ``.csv`` one array for each column of its header: int64, float64
    (an empty field is NaN), bool or text, whichever holds every field. Raises `UsageError` for
    anything else.
    """
    import numpy as np

    suffix = path.suffix.lower()
    try:
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as data:
                ours = {"names", "t0"} <= set(data.files)
                return load_tensors(path) if ours else {name: data[name] for name in data.files}
        if suffix == ".npy":
            return {"": np.load(path, allow_pickle=False)}
        if suffix == ".csv":
            return _read_csv(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the sample {path}: {error}") from error
    raise UsageError(
        f"cannot read the sample {path}: {suffix or 'no suffix'} is not .csv, .npz or .npy",
        hint="Save the rows with numpy.savez, numpy.save or as CSV with a header.",
    )


def _read_csv(path: Path) -> Tensors:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) < 2:
        raise ValueError("it has no rows below its header")
    header, body = rows[0], rows[1:]
    ragged = next((i for i, row in enumerate(body, 2) if len(row) != len(header)), None)
    if ragged is not None:
        raise ValueError(f"line {ragged} has {len(rows[ragged - 1])} fields, the header has {len(header)}")
    return {name: _typed_column([row[i] for row in body]) for i, name in enumerate(header)}


def _typed_column(fields: list[str]) -> np.ndarray:
    import numpy as np

    if {field.lower() for field in fields} <= {"true", "false"}:
        return np.array([field.lower() == "true" for field in fields])
    try:
        return np.array([int(field) for field in fields], dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([float(field or "nan") for field in fields], dtype=np.float64)
    except ValueError:
        return np.array(fields, dtype=np.str_)
