"""Gaussian mixtures: the component of each row.

Source: sklearn/mixture/{_gaussian_mixture,_bayesian_mixture}.py (1.9).

- log density by component from the Cholesky factors of the precisions, in the source's own expansion
  for each covariance type; plus the log weights (expected ones for the Bayesian mixture).
- label: argmax, the first of equals; probability: exp(log - logsumexp).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, floats
from converters.classical.emit import Emitter
from converters.classical.facts import SPREAD, Feature, around
from converters.classical.graph import Value

if TYPE_CHECKING:
    import numpy as np


class Mixture(Emitter):
    def facts(self) -> list[Feature]:
        import numpy as np

        source = self.estimator
        spreads = np.asarray(source.covariances_)
        if source.covariance_type in ("full", "tied"):
            spreads = np.diagonal(spreads, axis1=-2, axis2=-1)
        if source.covariance_type == "spherical":
            spreads = spreads[:, None]
        return around(source.means_, SPREAD * np.sqrt(np.atleast_2d(spreads).max(axis=0)))

    def weighted(self, X: Features) -> Value:
        """Log weights plus log densities, [N, components]."""
        import numpy as np

        likely = self.graph.mul(self._squares(X), -0.5)
        return self.graph.add(
            self.graph.add(likely, self._fixed()), np.asarray(self.estimator._estimate_log_weights())
        )

    def _fixed(self) -> np.ndarray:
        """What does not depend on the row: the source's log densities at the origin with all means there."""
        import copy

        import numpy as np

        source = copy.copy(self.estimator)
        source.means_ = np.zeros_like(source.means_)
        fixed: np.ndarray = np.asarray(source._estimate_log_prob(source.means_[:1]))[0]
        return fixed

    def _squares(self, X: Features) -> Value:
        """Mahalanobis distances squared, [N, components]."""
        import numpy as np

        graph, source = self.graph, self.estimator
        x, means, factors = floats(graph, X).value, np.asarray(source.means_), source.precisions_cholesky_
        if source.covariance_type in ("full", "tied"):
            factors = factors if source.covariance_type == "full" else [factors] * len(means)
            turned = [graph.sub(graph.matmul(x, f), mean @ f) for f, mean in zip(factors, means)]
            return idioms.concat(graph, [idioms.row_sum(graph, graph.mul(t, t)) for t in turned])
        precisions = np.asarray(factors) ** 2
        if source.covariance_type == "diag":
            cross = graph.mul(graph.matmul(x, (means * precisions).T), 2.0)
            own = graph.matmul(graph.mul(x, x), precisions.T)
            return graph.add(graph.sub(np.sum(means**2 * precisions, 1), cross), own)
        cross = graph.mul(graph.mul(graph.matmul(x, means.T), precisions), 2.0)
        own = graph.mul(idioms.row_sum(graph, graph.mul(x, x)), precisions[None])
        return graph.add(graph.sub(np.sum(means**2, 1) * precisions, cross), own)

    def predict(self, X: Features) -> Value:
        return idioms.argmax(self.graph, self.weighted(X))

    def predict_proba(self, X: Features) -> Value:
        joint = self.weighted(X)
        return self.graph.op("Exp", self.graph.sub(joint, idioms.logsumexp(self.graph, joint)))

    def score_samples(self, X: Features) -> Value:
        return idioms.flat(self.graph, idioms.logsumexp(self.graph, self.weighted(X)))


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.mixture.GaussianMixture": Mixture,
    "sklearn.mixture.BayesianGaussianMixture": Mixture,
}
