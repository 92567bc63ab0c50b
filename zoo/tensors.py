"""Named tensors on disk, as .npz without pickles, so that no process has to trust another.

Text is a numpy unicode array in memory and on disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Dict

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
        np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]


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
