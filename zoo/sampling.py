"""Sample inputs of training code, in whatever form it has them, as named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.tensors import Tensors


def named_tensors(sample: Any) -> Tensors:
    """Arrays by input name; one array is named ``""``, those of a tuple ``"0"``, ``"1"``, …

    Takes numpy arrays, torch tensors, anything with ``__array__``, lists of text, tuples, mappings, and
    frames (one array for each column).
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
    return {"": _array(sample)}


def _array(value: Any) -> Any:
    import numpy as np

    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype == object and not all(isinstance(item, (str, bytes)) for item in array.ravel()):
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise UsageError(f"a sample column holds neither numbers nor text: {error}") from error
    return array
