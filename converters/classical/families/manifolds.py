"""Isomap and LocallyLinearEmbedding for new rows.

Source: sklearn/manifold/_isomap.py, _locally_linear.py (1.9).

- Isomap: to every fitted row the shortest way over one of the row's own neighbours, ``min(distance +
  dist_matrix_[neighbour])``, in the dtype of X; then ``kernel_pca_`` of minus half its square.
- LocallyLinearEmbedding: weights that rebuild the row from its neighbours, ``solve(C C' + reg * trace, 1)``
  with C the differences, divided by their sum, in the dtype of X; the same mixture of `embedding_`. scipy
  solves by Cholesky, the graph by elimination: the same up to rounding times the condition, at most k / reg.
"""

from __future__ import annotations

from typing import Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, numeric
from converters.classical.emit import Emitter, emit
from converters.classical.facts import Feature
from converters.classical.families.distances import distances
from converters.classical.families.linear import dense
from converters.classical.families.neighbours import Neighbours
from converters.classical.graph import Value

SMALLEST_SHARE = 1e-6
"""Smaller `reg` lets rounding show in the weights."""


class Isomap(Emitter):
    def transform(self, X: Features) -> Matrix:
        graph, source = self.graph, self.estimator
        if source.n_neighbors is None:
            raise self.refuse("neighbours within a radius have no converter", "Give it n_neighbors.")
        matrix = numeric(graph, X)
        search = Neighbours(source.nbrs_, graph)
        rank, rows = search.neighbours(matrix, int(source.n_neighbors))
        apart = distances(graph, rank, search.metric)
        ways = dense(source.dist_matrix_)
        shortest: Value | None = None
        for place in range(int(source.n_neighbors)):
            onward = idioms.take(graph, ways, idioms.column(graph, rows, place))
            way = graph.add(onward, idioms.take_columns(graph, apart, [place]))
            shortest = way if shortest is None else graph.minimum(shortest, way)
        assert shortest is not None
        single = graph.cast(shortest, "float32" if matrix.dtype == "float32" else "float64")
        squares = graph.mul(graph.mul(single, single), -0.5)
        found: Matrix = emit(
            graph, source.kernel_pca_, "transform", Matrix(squares, len(ways)), "kernel_pca_"
        )
        return found

    def facts(self) -> list[Feature]:
        return Neighbours(self.estimator.nbrs_, self.graph).facts()


class LocallyLinearEmbedding(Emitter):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        graph, source = self.graph, self.estimator
        if source.reg < SMALLEST_SHARE:
            raise self.refuse(
                f"reg={source.reg}: rounding shows in the weights", f"Use {SMALLEST_SHARE} or more."
            )
        matrix = numeric(graph, X)
        search = Neighbours(source.nbrs_, graph)
        count = int(source.n_neighbors)
        rows = search.neighbours(matrix, count)[1]
        weights = self._weights(matrix, idioms.take(graph, self._points(matrix.dtype), rows), count)
        parts = idioms.take(graph, dense(source.embedding_), rows)
        mixed = graph.mul(parts, graph.op("Unsqueeze", graph.cast(weights, "float64"), np.array([2])))
        value = graph.op("ReduceSum", mixed, np.array([1]), keepdims=0)
        return Matrix(value, source.embedding_.shape[1])

    def _points(self, dtype: str) -> Any:
        points = dense(self.estimator.nbrs_._fit_X)
        return points if dtype == "float32" else points.astype("float64")

    def _weights(self, X: Matrix, points: Value, count: int) -> Value:
        """Of the neighbours [N, count, F]: [N, count], in the dtype of X."""
        import numpy as np

        graph = self.graph
        apart = graph.sub(points, graph.op("Unsqueeze", X.value, np.array([1])))
        apart = graph.cast(apart, "float32" if X.dtype == "float32" else "float64")
        products = graph.matmul(apart, graph.op("Transpose", apart, perm=[0, 2, 1]))
        trace = graph.op("ReduceSum", graph.mul(apart, apart), np.array([1, 2]), keepdims=1)
        ridge = graph.mul(graph.where(graph.greater(trace, 0), trace, 1.0), float(self.estimator.reg))
        system = graph.add(products, graph.mul(np.eye(count, dtype=apart.dtype)[None], ridge))
        ones = graph.add(graph.mul(trace, 0.0), np.ones((1, count, 1), dtype=apart.dtype))
        solved = self._solved(graph.op("Concat", system, ones, axis=2), count)
        return graph.div(solved, idioms.row_sum(graph, solved))

    def _solved(self, system: Value, count: int) -> Value:
        """The solutions of positive definite systems [N, count, count + 1], by elimination: [N, count]."""
        import numpy as np

        graph = self.graph
        for turn in range(count):
            line = graph.op("Gather", system, np.array([turn]), axis=1)
            pivot = graph.op("Gather", line, np.array([turn]), axis=2)
            line = graph.div(line, pivot)
            column = graph.op("Gather", system, np.array([turn]), axis=2)
            others = np.ones((1, count, 1), dtype=system.dtype)
            others[0, turn] = 0
            system = graph.add(
                graph.mul(graph.sub(system, graph.mul(column, line)), others), graph.mul(line, 1 - others)
            )
        return graph.op("Gather", system, np.array(count), axis=2)

    def facts(self) -> list[Feature]:
        return Neighbours(self.estimator.nbrs_, self.graph).facts()


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.manifold.Isomap": Isomap,
    "sklearn.manifold.LocallyLinearEmbedding": LocallyLinearEmbedding,
}
