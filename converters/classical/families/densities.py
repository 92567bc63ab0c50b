"""KernelDensity and NearestNeighbors: what the trees of neighbours answer without a target.

Source: sklearn/neighbors/_kde.py, _unsupervised.py, the kernels of _binary_tree.pxi.tp (1.9).

- KernelDensity: log of the sum over the fitted rows of weight * kernel(distance / bandwidth), in float64,
  times the kernel's norm, divided by the sum of the weights. atol and rtol let the source leave off parts of
  the tree: refused where that may show. It takes a node's bounds from the sum and adds its rows: of kernels
  that end smoothly (epanechnikov, linear, cosine) the rounding of that is left where the density is zero.
- NearestNeighbors.kneighbors: distances and numbers of the nearest rows, nearest first; of equals: see
  `searching`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, jumps
from converters.classical.families.distances import Metric, distances, ranks
from converters.classical.families.neighbours import Neighbours
from converters.classical.graph import Value

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph

MOST_LEFT_OFF = 1e-9
"""Of a density, by `rtol` or `atol`."""


class KernelDensity(Emitter):
    @property
    def points(self) -> np.ndarray:
        import numpy as np

        return np.asarray(self.estimator.tree_.data)

    def facts(self) -> list[Feature]:
        return [jumps(column) for column in self.points.T]

    def score_samples(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        if max(source.rtol, source.atol) > MOST_LEFT_OFF:
            raise self.refuse(
                f"atol={source.atol}, rtol={source.rtol} leave off parts of the tree", "Fit it with rtol=0."
            )
        metric = Metric(str(source.metric), dict(source.metric_params or {}))
        x = graph.cast(numeric(graph, X).value, "float64")
        apart = distances(graph, ranks(graph, x, self.points, metric), metric)
        terms, norm = self._kernel(apart), self._norm()
        weights = source.tree_.sample_weight
        if weights is not None:
            weights = np.asarray(weights, dtype=np.float64)
            terms = graph.add(terms, np.log(weights)[None])
        total = float(len(self.points) if weights is None else weights.sum())
        density = graph.add(_logsumexp(graph, terms), norm)
        return idioms.flat(graph, graph.sub(density, math.log(total)))

    def _kernel(self, apart: Value) -> Value:
        """The log of the kernel at distances [N, S]."""
        graph, name, h = self.graph, self.estimator.kernel, float(self.estimator.bandwidth_)
        if name == "gaussian":
            return graph.div(graph.mul(-0.5, graph.mul(apart, apart)), h * h)
        if name == "exponential":
            return graph.div(graph.op("Neg", apart), h)
        if name == "tophat":
            return graph.where(graph.less(apart, h), graph.mul(apart, 0.0), float("-inf"))
        raise self.refuse(
            f"kernel={name!r}: where the density is zero, the source answers the rounding of its bounds",
            "Use kernel='gaussian', 'exponential' or 'tophat'.",
        )

    def _norm(self) -> float:
        """The log of what makes the kernel's integral one."""
        from sklearn.neighbors._ball_tree import kernel_norm

        source = self.estimator
        return float(kernel_norm(source.bandwidth_, self.points.shape[1], source.kernel, return_log=True))


def _logsumexp(graph: Graph, terms: Value) -> Value:
    """Over the second axis: [N, 1]; minus infinity where all are."""
    largest = idioms.row_max(graph, terms)
    base = graph.where(graph.greater(largest, float("-inf")), largest, 0.0)
    summed = idioms.row_sum(graph, graph.op("Exp", graph.sub(terms, base)))
    return graph.add(graph.op("Log", summed), base)


class NearestNeighbors(Neighbours):
    def kneighbors(self, X: Features) -> list[Value]:
        """Distances [N, k] and the numbers of the rows [N, k]."""
        rank, rows = self.neighbours(X, int(self.estimator.n_neighbors), turn=True)
        return [distances(self.graph, rank, self.metric), rows]


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.neighbors.KernelDensity": KernelDensity,
    "sklearn.neighbors.NearestNeighbors": NearestNeighbors,
}
