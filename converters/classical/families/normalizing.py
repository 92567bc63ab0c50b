"""Normalizer and KernelCenterer.

Source: sklearn/preprocessing/_data.py (1.9).

- Normalizer: each row divided by its norm: l2 root of the sum of squares, l1 sum of |x|, max largest |x|; a
  row of zeros stays, and unless X is sparse one whose norm is below ten epsilon. dtype of X.
  Dense rows are added by einsum and by numpy's sum, sparse ones in float64.
- KernelCenterer: ``K - K_fit_rows_ - mean(K, axis=1) + K_fit_all_`` in that order, the mean as the row's
  sum divided by the number of fitted rows; in place, so the dtype of K.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats
from converters.classical.emit import Emitter
from converters.classical.families.distances import squared_norms
from converters.classical.families.scaling import in_place
from converters.classical.families.text_weights import normalized

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value


class Normalizer(Emitter):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        X, graph = floats(self.graph, X), self.graph
        if X.sparse:
            return Matrix(normalized(graph, X.value, self.estimator.norm), X.width, True)
        size = self._size(X)
        none = graph.less(size, 10 * float(np.finfo(X.dtype).eps))
        return Matrix(graph.div(X.value, graph.where(none, 1.0, size)), X.width)

    def _size(self, X: Matrix) -> Value:
        """[N, 1], added in numpy's order."""
        import numpy as np

        graph = self.graph
        if self.estimator.norm == "l2":
            return graph.op("Sqrt", squared_norms(graph, X.value, X.width))
        sizes = graph.op("Abs", X.value)
        if self.estimator.norm == "max":
            return idioms.row_max(graph, sizes)
        return graph.op("Unsqueeze", idioms.numpy_sum(graph, sizes, X.width), np.array([1]))


class KernelCenterer(Emitter):
    def transform(self, X: Features) -> Matrix:
        K = floats(self.graph, X)
        return Matrix(centered(self.graph, K.value, self.estimator), K.width)


def centered(graph: Graph, K: Value, centerer: Any) -> Value:
    """A kernel matrix [N, fitted rows] as a fitted KernelCenterer centers it."""
    import numpy as np

    count = len(centerer.K_fit_rows_)
    means = graph.div(idioms.upright(graph, idioms.numpy_sum(graph, K, count)), count)
    K = in_place(graph, "Sub", K, centerer.K_fit_rows_)
    return in_place(graph, "Add", graph.sub(K, means), np.array([centerer.K_fit_all_]))


EMITTERS = {
    "sklearn.preprocessing.Normalizer": Normalizer,
    "sklearn.preprocessing.KernelCenterer": KernelCenterer,
}
