"""Binarizer and KBinsDiscretizer.

Source: sklearn/preprocessing/_data.py and _discretization.py (1.9).

- Binarizer: 1 where ``x > threshold``, strictly, in the dtype of X; a sparse matrix likewise (its threshold
  is not negative).
- KBinsDiscretizer: the bin is the number of inner edges with ``edge <= x``, compared in float64 (an edge
  belongs to the bin above it); outside the range the first or the last bin. NaN is refused by the source.
- KBinsDiscretizer, dtype: float64 or float32 as X, or the `dtype` it was given; encode ``ordinal`` gives
  numbers, ``onehot`` a sparse and ``onehot-dense`` a dense matrix of one column for each bin.
"""

from __future__ import annotations

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, columns, floats, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps


class Binarizer(Emitter):
    def transform(self, X: Features) -> Matrix:
        X = numeric(self.graph, X)
        compared = floats(self.graph, X).value
        above = self.graph.greater(compared, float(self.estimator.threshold))
        return Matrix(self.graph.cast(above, X.dtype), X.width, X.sparse)

    def facts(self) -> list[Feature]:
        return [jumps([self.estimator.threshold]) for _ in range(self.width)]


class KBinsDiscretizer(Emitter):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        graph, asked = self.graph, self.estimator.dtype
        X = floats(graph, X)
        if asked is not None:
            X = Matrix(graph.cast(X.value, str(np.dtype(asked))), X.width)
        counts = [int(count) for count in self.estimator.n_bins_]
        parts = []
        for index, column in enumerate(columns(graph, X)):
            inner = np.asarray(self.estimator.bin_edges_[index], dtype=np.float64)[1:-1].reshape(1, -1)
            reached = graph.cast(graph.greater_equal(column.value, inner), "int64")
            bins = idioms.row_sum(graph, reached)
            parts.append(
                graph.cast(bins, X.dtype)
                if self.estimator.encode == "ordinal"
                else idioms.one_hot(graph, bins, counts[index], X.dtype)
            )
        width = X.width if self.estimator.encode == "ordinal" else sum(counts)
        return Matrix(idioms.concat(graph, parts), width, self.estimator.encode == "onehot")

    def facts(self) -> list[Feature]:
        return [jumps(edges) for edges in self.estimator.bin_edges_]


EMITTERS = {
    "sklearn.preprocessing.Binarizer": Binarizer,
    "sklearn.preprocessing.KBinsDiscretizer": KBinsDiscretizer,
}
