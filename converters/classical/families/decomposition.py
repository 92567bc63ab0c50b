"""Projections: PCA and its kin, ICA, factor analysis, sparse PCA, random projections.

Source: sklearn/decomposition, sklearn/random_projection.py (1.9).

- PCA, IncrementalPCA: ``X @ components_.T``, then minus ``mean_ @ components_.T`` (not X minus the mean: it
  cancels in the same way), whitened by division by the root of explained_variance_, at least eps.
- TruncatedSVD, random projections, FastICA without whitening: ``X @ components_.T``; FastICA with whitening
  of ``X - mean_``.
- FactorAnalysis: ``(X - mean_) @ Wpsi.T @ inv(I + Wpsi W.T)``, the matrices computed as the source does.
- SparsePCA: ridge regression of ``X - mean_`` on the components (solver cholesky), whose matrix is solved
  here.
- KernelPCA: the kernel to X_fit_, centered, times the eigenvectors divided by the roots of their
  eigenvalues.
- FeatureAgglomeration: the mean, sum, largest or smallest of each cluster of features.
- BernoulliRBM: expit of ``X @ components_.T + intercept_hidden_``.
- dtype: products in the promoted dtype of X and the fitted matrix. BLAS adds in an order of its own: equal
  to a few ulp of the largest term.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import FADING, SPREAD, Feature, around, ranged
from converters.classical.families import precision
from converters.classical.families.normalizing import centered
from converters.classical.families.pairwise_similarity import kernel
from converters.classical.families.scaling import in_place
from converters.classical.releases import kernel_gamma

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Value


class Projection(Emitter):
    """``X @ components_.T``."""

    @property
    def components(self) -> np.ndarray:
        """[outputs, features], dense."""
        import numpy as np

        found = self.estimator.components_
        return np.asarray(found.toarray() if hasattr(found, "toarray") else found)

    def projected(self, x: Value) -> Matrix:
        """x times the components."""
        components = self.components
        return Matrix(self.graph.matmul(x, components.T), len(components))

    def transform(self, X: Features) -> Matrix:
        return self.projected(numeric(self.graph, X).value)


class PCA(Projection):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, graph = self.estimator, self.graph
        matrix = self.projected(floats(graph, X).value)
        value = in_place(graph, "Sub", matrix.value, source.mean_.reshape(1, -1) @ source.components_.T)
        if source.whiten:
            scale = np.sqrt(source.explained_variance_)
            value = in_place(graph, "Div", value, np.maximum(scale, np.finfo(scale.dtype).eps))
        return Matrix(value, matrix.width)

    def facts(self) -> list[Feature]:
        """The range of the fitted data, as far as the components explain it."""
        import numpy as np

        source = self.estimator
        spread = SPREAD * np.sqrt(np.diag(source.get_covariance()))
        return [ranged(Feature(), m - s, m + s) for m, s in zip(source.mean_, spread)]


class FastICA(Projection):
    def transform(self, X: Features) -> Matrix:
        value = floats(self.graph, X).value
        if self.estimator.whiten:
            value = in_place(self.graph, "Sub", value, self.estimator.mean_)
        return self.projected(value)


class RandomProjection(Projection):
    def transform(self, X: Features) -> Matrix:
        return self.projected(floats(self.graph, X).value)


class FactorAnalysis(Projection):
    def transform(self, X: Features) -> Matrix:
        import numpy as np
        from scipy import linalg

        source, graph = self.estimator, self.graph
        weights = source.components_ / source.noise_variance_
        covariance = linalg.inv(np.eye(len(source.components_)) + np.dot(weights, source.components_.T))
        moved = graph.sub(numeric(graph, X).value, source.mean_)
        value = graph.matmul(graph.matmul(moved, weights.T), covariance)
        return Matrix(value, len(source.components_))


class SparsePCA(Projection):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, graph = self.estimator, self.graph
        moved = graph.sub(numeric(graph, X).value, source.mean_)
        components = self.components
        gram = components @ components.T + source.ridge_alpha * np.eye(
            len(components), dtype=components.dtype
        )
        weights = np.linalg.solve(gram, components)
        return Matrix(graph.matmul(moved, np.ascontiguousarray(weights.T)), len(components))


class KernelPCA(Emitter):
    def facts(self) -> list[Feature]:
        return around(self.estimator.X_fit_) if self.estimator.kernel in FADING else super().facts()

    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, graph = self.estimator, self.graph
        given = {"gamma": kernel_gamma(source), "degree": source.degree, "coef0": source.coef0}
        similar = kernel(graph, numeric(graph, X), source.X_fit_, source.kernel, given)
        weights = np.zeros_like(source.eigenvectors_)
        positive = np.flatnonzero(source.eigenvalues_)
        weights[:, positive] = source.eigenvectors_[:, positive] / np.sqrt(source.eigenvalues_[positive])
        self._demand_meaning(weights[:, positive], similar.dtype)
        return Matrix(graph.matmul(centered(graph, similar, source._centerer), weights), weights.shape[1])

    def _demand_meaning(self, weights: np.ndarray, dtype: str) -> None:
        import numpy as np

        source, centerer = self.estimator, self.estimator._centerer
        if source.kernel == "precomputed":
            return
        kernel = np.asarray(source._get_kernel(precision.some(source.X_fit_), source.X_fit_))
        sizes = np.abs(kernel) + np.abs(kernel).mean(axis=1, keepdims=True)
        sizes = sizes + np.abs(centerer.K_fit_rows_) + np.abs(centerer.K_fit_all_)
        share = precision.lost(centerer.transform(kernel), weights, dtype, sizes=sizes)
        way_out = "Keep fewer components (n_components), scale the features before it, or fit in float64."
        precision.demand(self, share, precision.MOST_LOST[dtype], way_out)


class FeatureAgglomeration(Emitter):
    def transform(self, X: Features) -> Matrix:
        x = numeric(self.graph, X).value
        labels = self.estimator.labels_
        parts = [
            self._pooled(x, [i for i, own in enumerate(labels) if own == k]) for k in sorted(set(labels))
        ]
        return Matrix(idioms.concat(self.graph, parts), len(parts))

    def _pooled(self, x: Value, members: list[int]) -> Value:
        import numpy as np

        graph, function = self.graph, self.estimator.pooling_func
        chosen = idioms.take_columns(graph, x, members)
        if function is np.mean:
            return graph.div(idioms.row_sum(graph, graph.cast(chosen, "float64")), len(members))
        known: dict[Any, Any] = {np.max: idioms.row_max, np.min: idioms.row_min, np.sum: idioms.row_sum}
        if function not in known:
            raise self.refuse(
                f"pooling_func {getattr(function, '__qualname__', function)} has no converter",
                "numpy's mean, sum, max and min have one.",
            )
        return known[function](graph, chosen)  # type: ignore[no-any-return]


class BernoulliRBM(Projection):
    def transform(self, X: Features) -> Matrix:
        graph = self.graph
        matrix = self.projected(floats(graph, X).value)
        value = in_place(graph, "Add", matrix.value, self.estimator.intercept_hidden_)
        return Matrix(idioms.expit(graph, value), matrix.width)


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.decomposition.PCA": PCA,
    "sklearn.decomposition.IncrementalPCA": PCA,
    "sklearn.decomposition.TruncatedSVD": Projection,
    "sklearn.decomposition.FastICA": FastICA,
    "sklearn.decomposition.FactorAnalysis": FactorAnalysis,
    "sklearn.decomposition.SparsePCA": SparsePCA,
    "sklearn.decomposition.MiniBatchSparsePCA": SparsePCA,
    "sklearn.decomposition.KernelPCA": KernelPCA,
    "sklearn.random_projection.GaussianRandomProjection": RandomProjection,
    "sklearn.random_projection.SparseRandomProjection": RandomProjection,
    "sklearn.cluster.FeatureAgglomeration": FeatureAgglomeration,
    "sklearn.neural_network.BernoulliRBM": BernoulliRBM,
}
