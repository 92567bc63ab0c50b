"""Kernels of rows to fitted points with the options of Nystroem and KernelPCA; see `kernel_functions`.

Source: sklearn/metrics/pairwise.py (1.9). float32 where rows and points both are
(but for laplacian: scipy's cdist), else float64; a parameter that
is None takes pairwise_kernels' default; ``precomputed``: the rows are the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from converters.classical.families.kernel_functions import pairwise

if TYPE_CHECKING:
    from converters.classical.columns import Matrix
    from converters.classical.graph import Graph, Value


def kernel(graph: Graph, X: Matrix, points: Any, name: Any, parameters: Mapping[str, Any]) -> Value:
    """The kernel `name` of X [N, F] and points [S, F]; raises `UnsupportedModelError` for callables."""
    import numpy as np

    if callable(name):
        raise graph.refuse(f"the kernel {getattr(name, '__qualname__', name)} is a function of its own")
    if name == "precomputed":
        return X.value
    points = np.asarray(points.toarray() if hasattr(points, "toarray") else points)
    single = X.dtype == "float32" and points.dtype == np.float32 and name != "laplacian"
    result = "float32" if single else "float64"
    given = {key: value for key, value in parameters.items() if value is not None}
    return pairwise(graph, graph.cast(X.value, result), points.astype(result), name, given)
