"""NearestCentroid.

Source: sklearn/neighbors/_nearest_centroid.py (1.9). The nearest centroid where priors are
equal, else the largest ``-d² + 2 log(prior)`` of features divided by their deviation;
refused where those distances cancel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, around
from converters.classical.families import precision
from converters.classical.families.distances import Metric, expanded, nearest, ranks
from converters.classical.graph import Value

if TYPE_CHECKING:
    import numpy as np

NEAR = 1e3
"""Largest squared norm of a centroid, in deviations, for which the verifier looks about it."""


class NearestCentroid(Emitter):
    def facts(self) -> list[Feature]:
        """Of centroids far from zero nothing is said: there rounding alone moves probabilities visibly."""
        import numpy as np

        source = self.estimator
        far = np.max(np.sum(self._scaled(source.centroids_) ** 2, axis=1)) > NEAR
        return super().facts() if far else around(source.centroids_, share=1.0)

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        """Divided by the deviations within classes."""
        import numpy as np

        deviation = getattr(self.estimator, "within_class_std_dev_", np.array(1.0))
        scaled: np.ndarray = rows / np.where(deviation != 0, deviation, 1.0)
        return scaled

    def predict(self, X: Features) -> Value:
        import numpy as np

        source, x = self.estimator, numeric(self.graph, X).value
        if np.isclose(source.class_prior_, 1 / len(source.classes_)).all():
            index = self._nearest(x)
        else:
            index = idioms.argmax(self.graph, self._discriminants(X))
        return idioms.classes(self.graph, source.classes_, index)

    def _nearest(self, x: Value) -> Value:
        source = self.estimator
        if source.metric == "euclidean":
            return nearest(self.graph, self.graph.cast(x, "float64"), source.centroids_)
        return idioms.argmin(self.graph, ranks(self.graph, x, source.centroids_, Metric(source.metric, {})))

    def _discriminants(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        deviation = np.where(source.within_class_std_dev_ != 0, source.within_class_std_dev_, 1.0)
        if source.metric == "euclidean":
            share = float(np.max(np.sum((source.centroids_ / deviation) ** 2, axis=1)) * np.finfo(float).eps)
            way_out = "Scale the features before it (StandardScaler)."
            precision.demand(self, share, precision.MOST_LOST["float64"], way_out)
        x = graph.div(graph.cast(numeric(graph, X).value, "float64"), deviation)
        centroids = source.centroids_ / deviation
        if source.metric == "euclidean":
            far = graph.op("Sqrt", expanded(graph, x, centroids))
        else:
            far = ranks(graph, x, centroids, Metric(source.metric, {}))
        return graph.sub(2.0 * np.log(source.class_prior_), graph.mul(far, far))

    def decision_function(self, X: Features) -> Value:
        scores = self._discriminants(X)
        if len(self.estimator.classes_) != 2:
            return scores
        first, second = (idioms.column(self.graph, scores, i) for i in (0, 1))
        return self.graph.sub(second, first)

    def predict_proba(self, X: Features) -> Value:
        return self.graph.op("Exp", self.predict_log_proba(X))

    def predict_log_proba(self, X: Features) -> Value:
        graph = self.graph
        scores = self._discriminants(X)
        likely = graph.sub(scores, idioms.row_max(graph, scores))
        return graph.sub(likely, graph.op("Log", idioms.row_sum(graph, graph.op("Exp", likely))))


EMITTERS: dict[str, type[Emitter]] = {"sklearn.neighbors.NearestCentroid": NearestCentroid}
