"""Kernels between rows and fitted points: pairwise_kernels, and the kernels of Gaussian processes.

Source: sklearn/metrics/pairwise.py, sklearn/gaussian_process/kernels.py (1.9).

- pairwise_kernels: linear, poly, sigmoid, rbf and cosine by products (rbf by ``|x|² + |y|² - 2xy``, not
  below 0), laplacian by absolute differences, chi2 and additive_chi2 by ``(x - y)² / (x + y)`` where
  x + y is not 0. gamma defaults to 1 / features (chi2: 1).
- Gaussian processes: differences of rows divided by the length scale, in float64. A white kernel is
  0 between rows and fitted points, and its noise on the diagonal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Mapping

from converters.classical import idioms
from converters.classical.families.distances import cosine_similarities, expanded, summed
from converters.classical.graph import Value

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph


def pairwise(graph: Graph, x: Value, points: np.ndarray, name: Any, parameters: Mapping[str, Any]) -> Value:
    """sklearn.metrics.pairwise.pairwise_kernels of x [N, F] and points: [N, S].

    float32 where both are (rbf: of distances found in float64), else float64.
    `parameters`: gamma, degree, coef0. Raises `UnsupportedModelError` for callables and unknown names.
    """
    if callable(name):
        raise graph.refuse("its kernel is Python code")
    dtype = "float32" if x.dtype == "float32" and points.dtype.name == "float32" else "float64"
    x, points = graph.cast(x, dtype), points.astype(dtype)
    gamma = parameters.get("gamma")
    scale = float(1.0 / points.shape[1] if gamma is None else gamma)
    if name == "linear":
        return graph.matmul(x, points.T)
    if name == "cosine":
        return cosine_similarities(graph, x, points)
    if name == "rbf":
        _demand_distances(graph, points, scale)
    if name in ("rbf", "laplacian"):
        near = _expanded if name == "rbf" else _absolute
        return rounded(graph, "Exp", graph.mul(near(graph, x, points), -scale))
    if name in ("poly", "polynomial", "sigmoid"):
        inner = graph.add(graph.mul(graph.matmul(x, points.T), scale), float(parameters.get("coef0", 1)))
        if name == "sigmoid":
            return rounded(graph, "Tanh", inner)
        return graph.cast(graph.pow(graph.cast(inner, "float64"), float(parameters.get("degree", 3))), dtype)
    if name in ("chi2", "additive_chi2"):
        total = _chi2(graph, x, points)
        return (
            total if name == "additive_chi2" else rounded(graph, "Exp", graph.mul(total, float(gamma or 1)))
        )
    raise graph.refuse(f"the kernel {name!r} has no converter")


def _demand_distances(graph: Graph, points: np.ndarray, scale: float) -> None:
    """Refuse points so far from zero that ``|x|² + |y|² - 2xy`` keeps no digit of what rbf takes of it."""
    import numpy as np

    largest = float(np.max(np.sum(np.square(points, dtype=np.float64), axis=1), initial=0.0))
    noise = np.finfo(np.float64).eps * largest * scale
    if noise > _MOST_NOISE:
        raise graph.refuse(
            f"its distances cancel: rounding alone moves the exponent of its rbf kernel by {noise:.1g}",
            "Scale the features before it (StandardScaler).",
        )


_MOST_NOISE = 1e-4
"""Share by which a kernel may be noise."""


def rounded(graph: Graph, kind: str, x: Value) -> Value:
    """A function of x, computed in float64 and rounded to the dtype of x."""
    return graph.cast(graph.op(kind, graph.cast(x, "float64")), x.dtype)


def _expanded(graph: Graph, x: Value, points: np.ndarray) -> Value:
    return graph.cast(expanded(graph, graph.cast(x, "float64"), points), x.dtype)


def _absolute(graph: Graph, x: Value, points: np.ndarray) -> Value:
    return summed(graph, x, points, lambda d: graph.op("Abs", d))


def _chi2(graph: Graph, x: Value, points: np.ndarray) -> Value:
    total: Value | None = None
    for index in range(points.shape[1]):
        column = idioms.take_columns(graph, x, [index])
        both, apart = graph.add(column, points[None, :, index]), graph.sub(column, points[None, :, index])
        none = graph.equal(both, 0)
        term = graph.div(graph.mul(apart, apart), graph.where(none, 1.0, both))
        term = graph.where(none, 0.0, term)
        total = term if total is None else graph.add(total, term)
    assert total is not None
    return graph.op("Neg", total)


def between(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    """kernel(x, points) of a fitted sklearn.gaussian_process kernel: [N, S] float64.

    Raises `UnsupportedModelError` for kernels that are not scikit-learn's own, and for Matern with a nu
    other than 0.5, 1.5, 2.5 and infinity (it needs Bessel functions).
    """
    name = type(kernel).__name__
    if type(kernel).__module__ != "sklearn.gaussian_process.kernels" or name not in _KERNELS:
        raise graph.refuse(f"the kernel {name} has no converter")
    return _KERNELS[name](graph, kernel, x, points)


def _both(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> tuple[Value, Value]:
    return between(graph, kernel.k1, x, points), between(graph, kernel.k2, x, points)


def _sum(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    return graph.add(*_both(graph, kernel, x, points))


def _product(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    return graph.mul(*_both(graph, kernel, x, points))


def _exponentiation(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    return graph.pow(between(graph, kernel.kernel, x, points), float(kernel.exponent))


def _constant(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    import numpy as np

    return idioms.broadcast_rows(graph, np.full(len(points), float(kernel.constant_value)))


def _white(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    import numpy as np

    return idioms.broadcast_rows(graph, np.zeros(len(points)))


def _squares(graph: Graph, x: Value, points: np.ndarray, length: Any = 1.0) -> Value:
    """Squared distances after division by the length scale."""
    import numpy as np

    length = np.asarray(length, dtype=np.float64)
    return summed(graph, graph.div(x, length), points / length, lambda d: graph.mul(d, d))


def _rbf(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    return graph.op("Exp", graph.mul(_squares(graph, x, points, kernel.length_scale), -0.5))


def _matern(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    squares = _squares(graph, x, points, kernel.length_scale)
    nu = float(kernel.nu)
    if nu == math.inf:
        return graph.op("Exp", graph.mul(squares, -0.5))
    if nu not in (0.5, 1.5, 2.5):
        raise graph.refuse(f"Matern with nu={nu} needs Bessel functions")
    far = graph.mul(graph.op("Sqrt", squares), math.sqrt(2 * nu))
    decay = graph.op("Exp", graph.op("Neg", far))
    if nu == 0.5:
        return decay
    growth = graph.add(1.0, far)
    if nu == 2.5:
        growth = graph.add(growth, graph.div(graph.mul(far, far), 3.0))
    return graph.mul(growth, decay)


def _rational(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    alpha, length = float(kernel.alpha), float(kernel.length_scale)
    scaled = graph.div(_squares(graph, x, points), 2 * alpha * length**2)
    return graph.pow(graph.add(1.0, scaled), -alpha)


def _periodic(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    distance = graph.op("Sqrt", _squares(graph, x, points))
    wave = graph.op("Sin", graph.mul(graph.div(distance, float(kernel.periodicity)), math.pi))
    scaled = graph.div(wave, float(kernel.length_scale))
    return graph.op("Exp", graph.mul(graph.mul(scaled, scaled), -2.0))


def _dot(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    return graph.add(graph.matmul(x, points.T), float(kernel.sigma_0) ** 2)


def _named(graph: Graph, kernel: Any, x: Value, points: np.ndarray) -> Value:
    parameters = {"gamma": kernel.gamma, **(kernel.pairwise_kernels_kwargs or {})}
    return pairwise(graph, x, points, kernel.metric, parameters)


_KERNELS = {
    "Sum": _sum,
    "Product": _product,
    "Exponentiation": _exponentiation,
    "ConstantKernel": _constant,
    "WhiteKernel": _white,
    "RBF": _rbf,
    "Matern": _matern,
    "RationalQuadratic": _rational,
    "ExpSineSquared": _periodic,
    "DotProduct": _dot,
    "PairwiseKernel": _named,
}
_FIXED = {"ConstantKernel": "constant_value", "WhiteKernel": "noise_level"}
_ONES = {"RBF", "Matern", "RationalQuadratic", "ExpSineSquared"}


def diagonal(graph: Graph, kernel: Any, x: Value) -> Value:
    """kernel.diag(x): [N] float64. Raises `UnsupportedModelError` for a PairwiseKernel."""
    import numpy as np

    name = type(kernel).__name__
    if name in ("Sum", "Product"):
        parts = diagonal(graph, kernel.k1, x), diagonal(graph, kernel.k2, x)
        return graph.add(*parts) if name == "Sum" else graph.mul(*parts)
    if name == "Exponentiation":
        return graph.pow(diagonal(graph, kernel.kernel, x), float(kernel.exponent))
    if name == "DotProduct":
        own = idioms.row_sum(graph, graph.mul(x, x), keepdims=False)
        return graph.add(own, float(kernel.sigma_0) ** 2)
    if name not in _FIXED and name not in _ONES:
        raise graph.refuse(f"the diagonal of {name} has no converter")
    value = float(getattr(kernel, _FIXED[name])) if name in _FIXED else 1.0
    return idioms.broadcast_rows(graph, np.array(value))
