"""Normalizer and KernelCenterer.

Source: sklearn/preprocessing/_data.py (1.9).

- Normalizer: each row divided by its norm: l2 root of the sum of squares, l1 sum of |x|, max largest |x|; a
  row of zeros stays, and unless X is sparse one whose norm is below ten epsilon. dtype of X.
- KernelCenterer: ``K - K_fit_rows_ - mean(K, axis=1) + K_fit_all_`` in that order, the mean as the row's
  sum divided by the number of fitted rows; in place, so the dtype of K.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats
from converters.classical.emit import Emitter
from converters.classical.families.scaling import in_place
from converters.classical.families.text_weights import normalized

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value


class Normalizer(Emitter):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        X = floats(self.graph, X)
        least = 0.0 if X.sparse else 10 * float(np.finfo(X.dtype).eps)
        return Matrix(normalized(self.graph, X.value, self.estimator.norm, least), X.width, X.sparse)


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
