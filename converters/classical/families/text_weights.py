"""TfidfTransformer, and Normalizer's arithmetic, which it shares.

Source: sklearn/feature_extraction/text.py and sklearn/preprocessing/_data.py (1.9).

- dtype: float64, or float32 where X is float32; idf_ is float64 and its product is rounded back.
- sublinear_tf: ``log(count) + 1`` where the count is not 0.
- norm l2: divided by the root of the sum of squares, l1: by the sum of |x|, max: by the largest |x| (a sparse
  matrix by the same). A row of zeros stays.
- only stored values of a sparse matrix count: 0 * inf cannot occur, as a term without document has no column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats
from converters.classical.emit import Emitter
from converters.classical.families.scaling import in_place

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value


class TfidfTransformer(Emitter):
    def transform(self, X: Features) -> Matrix:
        return weighted(self.graph, floats(self.graph, X), self.estimator)


def weighted(graph: Graph, X: Matrix, weights: Any) -> Matrix:
    """X as a fitted TfidfTransformer `weights` gives it."""
    X = floats(graph, X)
    value = X.value
    if weights.sublinear_tf:
        value = sublinear(graph, value)
    if hasattr(weights, "idf_"):
        value = in_place(graph, "Mul", value, weights.idf_)
    if weights.norm is not None:
        value = normalized(graph, value, weights.norm)
    return Matrix(value, X.width, True)


def sublinear(graph: Graph, counts: Value) -> Value:
    """``log(count) + 1`` where the count is not 0."""
    none = graph.equal(counts, 0)
    logs = graph.add(graph.op("Log", graph.where(none, 1.0, counts)), 1.0)
    return graph.where(none, counts, logs)


def normalized(graph: Graph, x: Value, norm: str) -> Value:
    """Sparse rows divided by their norm (``"l1"``, ``"l2"``, ``"max"``), in float64; rows of zeros stay."""
    import numpy as np

    dtype, x = x.dtype, graph.cast(x, "float64")
    size = graph.op("Abs", x)
    if norm == "l2":
        size = graph.op("ReduceL2", x, np.array([1]), keepdims=1)
    else:
        size = idioms.row_sum(graph, size) if norm == "l1" else idioms.row_max(graph, size)
    none = graph.equal(size, 0)
    return graph.cast(graph.div(x, graph.where(none, 1.0, size)), dtype)


EMITTERS = {"sklearn.feature_extraction.text.TfidfTransformer": TfidfTransformer}
