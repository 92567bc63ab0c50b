"""Gaussian mixtures: the component of each row.

Source: sklearn/mixture/{_gaussian_mixture,_bayesian_mixture}.py (1.9).

- log density by component from the Cholesky factors of the precisions, in the source's own expansion
  for each covariance type; plus the log weights (expected ones for the Bayesian mixture).
- label: argmax, the first of equals; probability: exp(log - logsumexp).
- whole numbers stay such: squares of the row wrap, and since 1.7 the distances of "full" and "tied" lose
  what is behind the point; beyond int64 they become its smallest number, as a cast on x86 makes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, floats, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import SPREAD, Feature, around
from converters.classical.graph import Graph, Value
from converters.classical.releases import release

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
        given = self._as_given(X)
        if source.covariance_type in ("full", "tied"):
            factors = factors if source.covariance_type == "full" else [factors] * len(means)
            turned = [graph.sub(graph.matmul(x, f), mean @ f) for f, mean in zip(factors, means)]
            squares = idioms.concat(graph, [idioms.row_sum(graph, graph.mul(t, t)) for t in turned])
            whole = given.dtype.startswith("int") and release() >= (1, 7)
            return _whole(graph, squares, given.dtype) if whole else squares
        precisions = np.asarray(factors) ** 2
        if source.covariance_type == "diag":
            cross = graph.mul(graph.matmul(x, (means * precisions).T), 2.0)
            own = graph.matmul(graph.cast(graph.mul(given, given), x.dtype), precisions.T)
            return graph.add(graph.sub(np.sum(means**2 * precisions, 1), cross), own)
        cross = graph.mul(graph.mul(graph.matmul(x, means.T), precisions), 2.0)
        norm = graph.cast(idioms.row_sum(graph, graph.mul(given, given)), x.dtype)
        own = graph.mul(norm, precisions[None])
        return graph.add(graph.sub(np.sum(means**2, 1) * precisions, cross), own)

    def _as_given(self, X: Features) -> Value:
        """The rows in the dtype that the source squares them in."""
        given = numeric(self.graph, X).value
        if given.dtype not in ("float32", "float64", "int32", "int64"):
            raise self.refuse(f"it computes in {given.dtype} with rows of it", "Feed int64 or a float dtype.")
        return given

    def predict(self, X: Features) -> Value:
        return idioms.argmax(self.graph, self.weighted(X))

    def predict_proba(self, X: Features) -> Value:
        joint = self.weighted(X)
        return self.graph.op("Exp", self.graph.sub(joint, idioms.logsumexp(self.graph, joint)))

    def score_samples(self, X: Features) -> Value:
        return idioms.flat(self.graph, idioms.logsumexp(self.graph, self.weighted(X)))


def _whole(graph: Graph, squares: Value, dtype: str) -> Value:
    """Numbers from 0 on, cast to an integer dtype and back."""
    end = 2.0 ** (int(dtype[3:]) - 1)
    return graph.where(graph.less(squares, end), graph.op("Floor", squares), -end)


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.mixture.GaussianMixture": Mixture,
    "sklearn.mixture.BayesianGaussianMixture": Mixture,
}
