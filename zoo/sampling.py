"""Sample inputs of training code, in whatever form it has them, as named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.tensors import Tensors


def named_tensors(sample: Any) -> Tensors:
    """Arrays by input name; one array is named ``""``, those of a tuple ``"0"``, ``"1"``, …

    Takes numpy arrays, torch tensors, anything with ``__array__``, sparse matrices, lists of text, tuples,
    mappings, frames (one array for each column), and arrays of objects whose columns hold numbers here and
    text there (``"x0"``, ``"x1"``, …). Missing text is the empty string.
    """
    if sample is None:
        raise UsageError(
            "a sample input is needed", hint="Pass typical inputs: zoo.export(model, X[:8], 'm.onnx')."
        )
    if isinstance(sample, Mapping):
        return {str(name): _array(value) for name, value in sample.items()}
    if hasattr(sample, "columns") and hasattr(sample, "to_numpy"):
        return {str(name): _array(sample[name]) for name in sample.columns}
    if isinstance(sample, tuple):
        return {str(i): _array(value) for i, value in enumerate(sample)}
    if _is_mixed(sample):
        return {f"x{i}": _array(column) for i, column in enumerate(sample.T)}
    return {"": _array(sample)}


def _is_mixed(sample: Any) -> bool:
    """Whether some columns of an array of objects hold text and others none."""
    if getattr(getattr(sample, "dtype", None), "kind", "") != "O" or sample.ndim != 2:
        return False
    texts = {any(isinstance(item, str) for item in column) for column in sample.T}
    return len(texts) == 2


def _array(value: Any) -> Any:
    import numpy as np

    if hasattr(value, "detach"):
        value = _detached(value)
    array = np.asarray(value.toarray() if hasattr(value, "toarray") else value)
    if array.dtype == object and not all(isinstance(item, (str, bytes)) for item in array.ravel()):
        return _objects(array)
    return array


def _detached(tensor: Any) -> Any:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":
        raise UsageError(
            "the sample is in bfloat16, which numpy lacks",
            hint="Pass it as float32 and name the input's dtype: input=['x:bfloat16[batch,8]'].",
        )
    return tensor.numpy()


def _objects(array: Any) -> Any:
    """Numbers with NaN, or text with the empty string, for objects of which some are missing."""
    import numpy as np

    items = [None if _is_missing(item) else item for item in array.ravel()]
    if all(item is None or isinstance(item, str) for item in items) and any(items):
        return np.array([item or "" for item in items], dtype=np.str_).reshape(array.shape)
    try:
        return np.array([np.nan if item is None else item for item in items], np.float64).reshape(array.shape)
    except (TypeError, ValueError) as error:
        raise UsageError(f"a sample column holds neither numbers nor text: {error}") from error


def _is_missing(item: Any) -> bool:
    """None, NaN and the missing values of pandas, which is not imported for it."""
    return item is None or type(item).__name__ in ("NAType", "NaTType") or bool(item != item)
