"""EllipticEnvelope.

Source: sklearn/covariance/{_elliptic_envelope,_empirical_covariance}.py (1.9). Score: minus the squared
Mahalanobis distance, which the source takes the root of and squares again; decision: score less the
offset; +1 from 0 on, else -1.
"""

from __future__ import annotations

from converters.classical import idioms
from converters.classical.columns import Features, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import SPREAD, Feature, around
from converters.classical.graph import Value


class EllipticEnvelope(Emitter):
    def facts(self) -> list[Feature]:
        import numpy as np

        source = self.estimator
        return around(source.location_[None], SPREAD * np.sqrt(np.diag(source.covariance_)))

    def score_samples(self, X: Features) -> Value:
        import numpy as np

        graph, source = self.graph, self.estimator
        x = graph.cast(numeric(graph, X).value, "float64")
        apart = graph.sub(x, np.asarray(source.location_))
        turned = graph.matmul(apart, np.asarray(source.get_precision()))
        root = graph.op("Sqrt", idioms.row_sum(graph, graph.mul(turned, apart), keepdims=False))
        return graph.op("Neg", graph.mul(root, root))

    def decision_function(self, X: Features) -> Value:
        import numpy as np

        return self.graph.sub(self.score_samples(X), np.asarray(self.estimator.offset_))

    def predict(self, X: Features) -> Value:
        inlier = self.graph.greater_equal(self.decision_function(X), 0)
        return self.graph.where(inlier, 1, self.graph.constant(-1, "int64"))


EMITTERS: dict[str, type[Emitter]] = {"sklearn.covariance.EllipticEnvelope": EllipticEnvelope}
