"""Clusterers that answer for new rows: the nearest centre, and distances to the centres.

Source: sklearn/cluster/{_kmeans,_bisect_k_means,_mean_shift,_affinity_propagation,_birch}.py (1.9).

- label: argmin of ``|c|² - 2 x c``, the first of equals; Birch gives the label of the nearest subcluster;
  BisectingKMeans descends its tree, comparing two centres at each node.
- transform: euclidean_distances in float64, rounded back to X's dtype.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, around
from converters.classical.families.distances import expanded, nearest, nearest_centre
from converters.classical.families.linear import dense
from converters.classical.graph import Value

if TYPE_CHECKING:
    import numpy as np


class Centres(Emitter):
    """Labels are positions of `cluster_centers_`."""

    @property
    def centres(self) -> np.ndarray:
        return dense(self.estimator.cluster_centers_)

    def facts(self) -> list[Feature]:
        return around(self.centres, share=1.0)

    def predict(self, X: Features) -> Value:
        return nearest(self.graph, floats(self.graph, X).value, self.centres)


class Measured(Centres):
    """Also distances to them; nearest with numpy's norms."""

    def predict(self, X: Features) -> Value:
        return nearest_centre(self.graph, floats(self.graph, X).value, self.centres)

    def transform(self, X: Features) -> Matrix:
        graph, matrix = self.graph, floats(self.graph, X)
        squares = expanded(graph, graph.cast(matrix.value, "float64"), self.centres)
        return Matrix(graph.cast(graph.op("Sqrt", squares), matrix.dtype), len(self.centres))


class Birch(Measured):
    @property
    def centres(self) -> np.ndarray:
        import numpy as np

        return np.asarray(self.estimator.subcluster_centers_)

    def predict(self, X: Features) -> Value:
        norms = getattr(self.estimator, "_subcluster_norms", None)
        index = nearest(self.graph, floats(self.graph, X).value, self.centres, norms)
        return idioms.classes(self.graph, self.estimator.subcluster_labels_, index)


class BisectingKMeans(Measured):
    def predict(self, X: Features) -> Value:
        root = self.estimator._bisecting_tree
        if root.left is None:
            return idioms.broadcast_rows(self.graph, dense(root.label).astype("int64"))
        return self._below(floats(self.graph, X).value, root)

    def _below(self, x: Value, node: Any) -> Value:
        import numpy as np

        if node.left is None:
            return self.graph.constant(np.array([node.label]), "int64")
        centres = np.vstack((node.left.center, node.right.center)) + getattr(self.estimator, "_X_mean", 0.0)
        left = self.graph.equal(nearest_centre(self.graph, x, centres), 0)
        return self.graph.where(left, self._below(x, node.left), self._below(x, node.right))


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.cluster.KMeans": Measured,
    "sklearn.cluster.MiniBatchKMeans": Measured,
    "sklearn.cluster.BisectingKMeans": BisectingKMeans,
    "sklearn.cluster.MeanShift": Centres,
    "sklearn.cluster.AffinityPropagation": Centres,
    "sklearn.cluster.Birch": Birch,
}
